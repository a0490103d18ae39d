"""Stage `read` against a consumer whose group changes on command: what it hands out, and what it must drop."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from kafka import ConsumerGroupMetadata, OffsetAndMetadata, TopicPartition
from prometheus_client import CollectorRegistry

from consumer.kafka.lag import Behind
from consumer.kafka.watchdog import Watchdog
from consumer.label import read
from consumer.label.batch import Batch
from consumer.label.group import Reassigned
from consumer.label.read import Source
from consumer.label.settings import LabelSettings
from consumer.metrics import LabelMetrics
from tests.unit.consumer.label.records import Record, record

PATIENCE = 100
"""Turns within which a batch must come."""


def at(number: int) -> TopicPartition:
    return TopicPartition("posts", number)


class Broker:
    """Partitions of ten records, and what the group has committed. It is the admin client as well."""

    def __init__(self) -> None:
        self.topic_id = "first"
        self.logs = {at(number): [record(offset, b"", partition=number) for offset in range(10)] for number in (0, 1)}
        self.committed: dict[TopicPartition, OffsetAndMetadata] = {}
        self.members = {"m"}

    def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
        partitions = [{"partition_index": partition.partition} for partition in self.logs]
        return [{"error_code": 0, "topic_id": self.topic_id, "partitions": partitions} for _ in names]

    def describe_groups(self, names: list[str]) -> dict[str, Any]:
        return {name: {"members": [{"member_id": member} for member in self.members]} for name in names}

    def list_partition_offsets(self, asked: dict[TopicPartition, Any], timeout_ms: int) -> dict[TopicPartition, Any]:
        @dataclass
        class Found:
            offset: int

        return {tp: Found(0 if spec.name == "EARLIEST" else len(self.logs[tp])) for tp, spec in asked.items()}

    def list_group_offsets(self, asked: dict[str, list[TopicPartition]]) -> dict[str, Any]:
        return {group: {tp: self.committed[tp] for tp in wanted} for group, wanted in asked.items()}


class GroupConsumer:
    """As kafka-python's: a partition that is kept over a rebalance keeps its position in memory."""

    def __init__(self, broker: Broker, member: str = "m") -> None:
        self.broker = broker
        self.positions: dict[TopicPartition, int] = {}  # of the assigned partitions
        self.generation = 0
        self.member = member
        self.during_poll: deque[Callable[[], None]] = deque()
        self.listener: Any = None
        self.closed = False

    def give(self, *numbers: int) -> None:
        """The group is rebalanced: these partitions are ours now."""
        self.generation += 1
        self.listener.on_partitions_revoked(set(self.positions))
        committed = {tp: after.offset for tp, after in self.broker.committed.items()}
        self.positions = {at(number): self.positions.get(at(number), committed[at(number)]) for number in numbers}
        self.listener.on_partitions_assigned(set(self.positions))

    def close(self, timeout_ms: int) -> None:
        self.closed = True

    def subscribe(self, topics: list[str], listener: Any) -> None:
        self.listener = listener

    def poll(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Record]]:
        if self.during_poll:
            self.during_poll.popleft()()
        for partition, position in self.positions.items():
            if found := self.broker.logs[partition][position : position + max_records]:
                self.positions[partition] = position + len(found)
                return {partition: found}
        return {}

    def group_metadata(self) -> ConsumerGroupMetadata:
        return ConsumerGroupMetadata("g", self.generation, self.member)

    def assignment(self) -> set[TopicPartition]:
        return set(self.positions)

    def committed(self, partition: TopicPartition, metadata: bool, timeout_ms: int) -> OffsetAndMetadata | None:
        return self.broker.committed.get(partition)

    def commit(self, offsets: dict[TopicPartition, OffsetAndMetadata], timeout_ms: int) -> None:
        self.broker.committed.update(offsets)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        if partition not in self.positions:
            raise ValueError("Unassigned partition")
        self.positions[partition] = offset

    def position(self, partition: TopicPartition, timeout_ms: int) -> int:
        return self.positions[partition]


class Outputs:
    """What came out of each partition, as the worker reads it from the outputs."""

    def __init__(self, settings: LabelSettings) -> None:
        self.after: dict[TopicPartition, int] = {}

    def beyond(self, committed: dict[TopicPartition, int]) -> dict[TopicPartition, int]:
        return {tp: offset for tp, offset in self.after.items() if offset > committed.get(tp, offset)}


class Clock:
    """Time that passes when the test says so."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


class Line:
    """A source whose group has given it partition 0, or what the test says."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        stop_at_end: bool = False,
        broker: Broker | None = None,
        member: str = "m",
    ) -> None:
        self.broker = broker or Broker()
        self.consumer = GroupConsumer(self.broker, member)
        monkeypatch.setattr(read, "build_admin", lambda settings: self.broker)
        monkeypatch.setattr(read, "build_consumer", lambda *_: self.consumer)
        monkeypatch.setattr(read, "Published", Outputs)
        monkeypatch.setattr(Behind, "_watch", lambda behind: None)  # its thread would outlive the test
        self.clock = Clock()
        monkeypatch.setattr(read, "time", self.clock)
        monkeypatch.setattr("consumer.label.batch.time", self.clock)
        settings = LabelSettings.model_validate({"batch_size": 4, "batch_deadline": 60, "stop_at_end": stop_at_end})
        self.source = Source(settings, LabelMetrics(CollectorRegistry()), Watchdog(), threading.Event())
        self.source.join()
        for number in (0, 1):
            self.broker.committed.setdefault(at(number), OffsetAndMetadata(0, "", -1))
        self.consumer.give(0)
        self.source.resync()

    def batch(self) -> Batch:
        """The next batch, as the worker gets it: what is raised leads to `resync`."""
        for _ in range(PATIENCE):
            try:
                if batch := self.source.next_batch(None):
                    return batch
            except Reassigned:
                self.source.resync()
        raise AssertionError("no batch")

    def collect(self, number: int) -> None:
        """Read so many records, short of a batch: the oldest batch in flight is done, and they stay for the next."""
        whole = self.broker.logs[at(0)]
        self.broker.logs[at(0)] = whole[: self.consumer.positions[at(0)] + number]
        assert self.source.next_batch(DoneAfterOnePoll()) is None
        self.broker.logs[at(0)] = whole


class DoneAfterOnePoll:
    """A batch in flight."""

    def __init__(self) -> None:
        self.asked = 0

    def done(self) -> bool:
        self.asked += 1
        return self.asked > 1


class NeverDone:
    """A batch in flight of which the model hangs."""

    def __init__(self) -> None:
        self.asked = 0

    def done(self) -> bool:
        self.asked += 1
        assert self.asked < PATIENCE, "the loop has no turn to see that the model hangs"
        return False


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    return Line(monkeypatch)


def places(batch: Batch) -> list[tuple[int, int]]:
    return [(record.partition, record.offset) for record in batch.records]


def test_a_batch_has_its_records_and_the_offset_behind_them(line: Line) -> None:
    batch = line.batch()

    assert places(batch) == [(0, 0), (0, 1), (0, 2), (0, 3)]
    assert batch.offsets == {at(0): OffsetAndMetadata(4, "topic_id=first", -1)}
    assert batch.topic_id == "first"
    line.source.check(batch)
    assert places(line.batch())[0] == (0, 4)


def test_the_loop_has_its_turn_while_the_model_is_busy_and_nothing_comes(line: Line) -> None:
    line.broker.logs[at(0)].clear()

    assert line.source.next_batch(NeverDone()) is None


def test_what_is_collected_stays_for_the_next_batch(line: Line) -> None:
    line.collect(3)

    assert places(line.batch()) == [(0, 0), (0, 1), (0, 2), (0, 3)]


def test_a_batch_is_closed_when_its_first_record_has_waited_until_the_deadline(line: Line) -> None:
    line.collect(2)
    line.clock.now += 60

    batch = line.batch()

    assert (places(batch), batch.closed_by) == ([(0, 0), (0, 1)], "deadline")


def test_a_batch_is_closed_when_it_has_so_many_bytes(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.collect(2)
    monkeypatch.setattr(read, "POLL_BYTES", 2 * len(b"0" + b"citylondon"))

    batch = line.batch()

    assert (places(batch), batch.closed_by) == ([(0, 0), (0, 1)], "size")
    monkeypatch.setattr(read, "POLL_BYTES", 10**9)
    assert places(line.batch()) == [(0, 2), (0, 3), (0, 4), (0, 5)]


def test_a_batch_has_the_group_metadata_of_the_poll_not_of_later(line: Line) -> None:
    line.collect(2)
    line.consumer.generation = -1  # evicted: the client's IO thread knows, the listener is not called before a poll
    line.clock.now += 60

    batch = line.batch()

    assert batch.group.generation_id == 1
    with pytest.raises(Reassigned, match="generation 1, which is over"):
        line.source.check(batch)


def test_a_batch_without_a_generation_is_not_published(line: Line) -> None:
    line.consumer.generation = -1  # the broker would commit its offsets unfenced

    batch = line.batch()

    with pytest.raises(Reassigned, match="generation -1, which is over"):
        line.source.check(batch)


def test_a_batch_of_before_a_rebalance_is_not_published(line: Line) -> None:
    batch = line.batch()
    line.consumer.give(0)

    with pytest.raises(Reassigned):
        line.source.check(batch)


def test_what_was_collected_before_a_rebalance_comes_again_once(line: Line) -> None:
    line.collect(2)
    line.consumer.give(0)

    assert places(line.batch()) == [(0, 0), (0, 1), (0, 2), (0, 3)]


def test_what_was_collected_of_a_partition_that_is_taken_away_is_not_handed_out(line: Line) -> None:
    line.collect(2)
    line.consumer.give(1)

    assert places(line.batch()) == [(1, 0), (1, 1), (1, 2), (1, 3)]


def test_records_of_the_very_poll_during_which_the_group_changed_are_dropped(line: Line) -> None:
    line.collect(2)
    line.consumer.during_poll.append(lambda: line.consumer.give(1))

    batch = line.batch()

    assert places(batch) == [(1, 0), (1, 1), (1, 2), (1, 3)]
    assert batch.group.generation_id == line.consumer.generation


def test_a_partition_that_is_kept_goes_back_to_what_is_committed(line: Line) -> None:
    published = line.batch()
    line.broker.committed |= published.offsets
    line.batch()  # in flight, and dropped
    line.consumer.give(0, 1)
    assert line.consumer.positions[at(0)] == 8  # kept in memory

    assert places(line.batch())[0] == (0, 4)


def test_an_offset_that_was_committed_for_a_deleted_topic_of_this_name_is_not_used(line: Line) -> None:
    line.broker.committed |= line.batch().offsets
    line.broker.topic_id = "second"
    line.consumer.give(0)

    batch = line.batch()

    assert places(batch)[0] == (0, 0)
    assert batch.offsets[at(0)].metadata == "topic_id=second"
    assert line.consumer.closed  # and with it what it had fetched of the old topic


def test_an_offset_beyond_the_end_of_the_very_topic_it_was_committed_for_goes_on_at_its_end(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    line.broker.committed[at(0)] = OffsetAndMetadata(14, "topic_id=first", -1)
    line.source.resync()
    line.source.resync()

    assert line.consumer.positions[at(0)] == 10
    assert caplog.text.count("the broker lost records: going on at the end") == 1
    assert line.source._metrics.expired.labels("0")._value.get() == 4


def test_an_offset_beyond_the_end_that_says_of_no_topic_begins_anew(line: Line) -> None:
    line.broker.committed[at(0)] = OffsetAndMetadata(14, "", -1)
    line.source.resync()

    assert line.consumer.positions[at(0)] == 0
    assert line.source._metrics.expired.labels("0")._value.get() == 1


def test_with_stop_at_end_the_end_of_a_topic_created_anew_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch, stop_at_end=True)
    line.broker.committed[at(0)] = OffsetAndMetadata(4, "topic_id=first", -1)
    line.broker.topic_id = "second"
    line.broker.logs[at(0)] = line.broker.logs[at(0)][:3]
    for _ in range(2):  # the first leads to a new consumer, which joins anew
        line.consumer.give(0)
        line.source.resync()

    assert places(line.batch()) == [(0, 0), (0, 1), (0, 2)]
    line.broker.committed[at(0)] = OffsetAndMetadata(3, "topic_id=second", -1)
    assert line.source.is_at_end()


def test_what_others_commit_while_it_looks_is_no_offset_of_an_earlier_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch)
    ask = line.consumer.committed

    def others_go_on(partition: TopicPartition, metadata: bool, timeout_ms: int) -> OffsetAndMetadata | None:
        line.broker.logs[partition].append(record(10, b"", partition=partition.partition))
        line.broker.committed[partition] = OffsetAndMetadata(11, "", -1)
        return ask(partition, metadata, timeout_ms)

    monkeypatch.setattr(line.consumer, "committed", others_go_on)
    line.consumer.give(0)
    line.source.resync()

    assert line.consumer.positions[at(0)] == 11


def test_a_broker_that_forgets_what_this_worker_committed_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch)
    batch = line.batch()
    line.broker.committed.update(batch.offsets)
    line.source.committed(batch)
    line.broker.committed[at(0)] = OffsetAndMetadata(2, "", -1)

    line.source.resync()

    assert line.consumer.positions[at(0)] == 4


def test_a_broker_that_forgets_where_a_partition_stood_when_it_came_is_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = Line(monkeypatch)
    line.broker.committed[at(1)] = OffsetAndMetadata(6, "", -1)
    line.consumer.give(1)
    line.source.resync()  # nothing is published since
    del line.broker.committed[at(1)]

    line.source.resync()

    assert line.consumer.positions[at(1)] == 6


@pytest.mark.parametrize("committed", [OffsetAndMetadata(2, "", -1), None])
def test_a_partition_goes_on_after_what_came_out_whatever_the_broker_says(
    monkeypatch: pytest.MonkeyPatch, committed: OffsetAndMetadata | None
) -> None:
    line = Line(monkeypatch)
    line.source._published.after = {at(1): 7}  # type: ignore[attr-defined]  # of the worker that had it before
    line.consumer.give(1)
    line.broker.committed = {} if committed is None else {at(1): committed}

    line.source.resync()

    assert line.consumer.positions[at(1)] == 7


def test_what_came_out_of_a_topic_since_deleted_says_nothing_of_its_successor(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch)
    line.broker.committed[at(0)] = OffsetAndMetadata(2, "topic_id=an older one", -1)
    line.source._published.after = {at(0): 7}  # type: ignore[attr-defined]

    line.source.resync()

    assert line.consumer.positions[at(0)] == 0
