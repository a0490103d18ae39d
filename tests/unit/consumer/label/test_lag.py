"""Which partitions are stuck, that work on others hides none of them, and how long the first record waits."""

from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from kafka import OffsetAndMetadata, TopicPartition
from prometheus_client import CollectorRegistry

from consumer.kafka.lag import Behind
from consumer.label import lag
from consumer.label.lag import Lag, Waiting
from consumer.metrics import LabelMetrics
from tests.unit.consumer.clock import Clock

GIVES, STUCK = TopicPartition("posts", 0), TopicPartition("posts", 1)


class Line:
    """A worker's lag with STUCK_AFTER 10 s, and its clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        monkeypatch.setattr("consumer.label.lag.time", self.clock)
        monkeypatch.setattr(Behind, "_watch", lambda behind: None)  # its thread would outlive the test
        self.metrics = LabelMetrics(CollectorRegistry())
        self.lag = Lag(mock.Mock(), "group", self.metrics, stuck_after=10)
        self.lag.restart({GIVES: 0, STUCK: 40}, {GIVES: 100, STUCK: 100}, note="")

    def idle(self, seconds: float) -> list[TopicPartition]:
        """Be idle for so long, and ask every second as the worker does."""
        found: list[TopicPartition] = []
        for _ in range(int(seconds) + 1):
            found = self.lag.find_stuck()
            self.clock.now += 1
        return found

    def work(self, seconds: float, upto: int) -> None:
        """Work on records of the other partition, and commit them."""
        self.clock.now += seconds
        self.lag.record_commit({GIVES: OffsetAndMetadata(upto, "", -1)})


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    line = Line(monkeypatch)
    with closing(line.lag):
        yield line


def shown(line: Line) -> float:
    (metric,) = line.metrics.stuck_partitions.collect()
    return metric.samples[0].value


def test_a_partition_with_lag_that_gives_an_idle_worker_nothing_is_stuck(line: Line) -> None:
    line.work(1, 100)

    assert line.idle(9) == []
    assert shown(line) == 0
    assert line.idle(3) == [STUCK]
    assert shown(line) == 1


def test_a_trickle_in_another_partition_does_not_hide_it(line: Line) -> None:
    for upto in range(96, 100):
        line.work(1, upto)
        assert line.idle(2) == []
    line.work(1, 99)

    assert line.idle(4) == [STUCK]


def test_time_at_work_does_not_count(line: Line) -> None:
    for upto in range(1, 20):
        line.work(60, upto)
    line.work(60, 100)

    assert line.idle(9) == []


def test_whoever_gives_something_begins_again(line: Line) -> None:
    line.work(1, 100)
    line.idle(8)
    line.lag.record_commit({STUCK: OffsetAndMetadata(41, "", -1)})

    assert line.idle(9) == []
    assert line.idle(3) == [STUCK]


def test_no_lag_is_not_stuck(line: Line) -> None:
    line.work(1, 100)
    line.lag.record_commit({STUCK: OffsetAndMetadata(100, "", -1)})

    assert line.idle(60) == []


class Broker:
    """One partition, as an admin client sees it."""

    def __init__(self) -> None:
        self.end = 0
        self.committed = OffsetAndMetadata(-1, "", -1)

    def list_group_offsets(self, asked: dict[str, list[TopicPartition]]) -> Any:
        return {group: dict.fromkeys(partitions, self.committed) for group, partitions in asked.items()}

    def list_partition_offsets(self, asked: dict[TopicPartition, Any], timeout_ms: int) -> Any:
        return dict.fromkeys(asked, SimpleNamespace(offset=self.end))


def test_a_record_waits_since_the_look_that_found_it_also_when_those_before_it_are_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, broker = Clock(), Broker()
    monkeypatch.setattr(lag, "time", clock)
    waiting = Waiting({GIVES: 0}, {GIVES: 0}, "group", "topic_id=now")
    for _ in range(100):  # ten records are found in each, and five are done
        clock.now += 5
        broker.end += 10
        waiting.learn(broker)
        broker.committed = OffsetAndMetadata(broker.end // 2, "tries=2;topic_id=now", -1)
    waiting.learn(broker)

    assert waiting.behind(GIVES) == 500
    assert waiting.oldest(GIVES) == 49 * 5  # offset 500 was found in the 51st look of a hundred
    monkeypatch.setattr(lag, "MOST_LOOKS", 10)
    waiting.learn(broker)
    waiting.learn(broker)
    assert waiting.oldest(GIVES) == 49 * 5
    waiting.move({GIVES: 1000})
    assert waiting.oldest(GIVES) == 0


def test_what_is_committed_for_an_earlier_topic_of_this_name_is_no_progress() -> None:
    broker = Broker()
    broker.end, broker.committed = 10, OffsetAndMetadata(7, "topic_id=before", -1)
    waiting = Waiting({GIVES: 0}, {GIVES: 0}, "group", "topic_id=now")
    waiting.learn(broker)
    assert waiting.position(GIVES) == 0
    assert waiting.lag(GIVES) == 10
