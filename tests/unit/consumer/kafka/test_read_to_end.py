import logging
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition

from consumer.kafka import read_to_end
from consumer.kafka.read_to_end import read_range
from producer.base.errors import CommandError

FIRST, SECOND = (TopicPartition("labels", number) for number in (0, 1))
Polled = tuple[dict[TopicPartition, Sequence[int]], tuple[int, int]]
"""Offsets of the records, and the positions of both partitions afterwards."""


class Consumer:
    """A consumer of two partitions that answers as it is told; its last answer again and again."""

    def __init__(self, *answers: Polled) -> None:
        self._answers = list(answers)
        self._positions: dict[TopicPartition, int] = {}
        self.polls = 0

    def assign(self, partitions: list[TopicPartition]) -> None:
        assert partitions == [FIRST, SECOND]

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._positions[partition] = offset

    def poll(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        self.polls += 1
        polled, positions = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        self._positions = dict(zip((FIRST, SECOND), positions, strict=True))
        return {tp: [SimpleNamespace(offset=offset) for offset in offsets] for tp, offsets in polled.items()}

    def position(self, partition: TopicPartition, timeout_ms: int) -> int:
        return self._positions[partition]


def read(consumer: Consumer, starts: tuple[int, int], ends: tuple[int, int]) -> list[Polled]:
    begin, end = (dict(zip((FIRST, SECOND), offsets, strict=True)) for offsets in (starts, ends))
    return [
        ({tp: [each.offset for each in records] for tp, records in polled.items()}, (at[FIRST], at[SECOND]))
        for polled, at in read_range(consumer, begin, end)
    ]


def test_it_reads_to_the_ends_that_were_asked_for_and_no_further() -> None:
    consumer = Consumer(({FIRST: [3, 4]}, (5, 0)), ({FIRST: [5, 8, 9], SECOND: [0]}, (10, 1)))

    found = read(consumer, (3, 0), (9, 1))

    assert found == [({FIRST: [3, 4]}, (5, 0)), ({FIRST: [5, 8], SECOND: [0]}, (9, 1))]
    assert consumer.polls == 2


def test_markers_and_aborted_records_at_the_end_are_passed() -> None:
    consumer = Consumer(({FIRST: [0]}, (1, 0)), ({}, (6, 0)))

    assert read(consumer, (0, 0), (6, 0)) == [({FIRST: [0]}, (1, 0)), ({}, (6, 0))]


def test_of_an_empty_range_nothing_is_asked() -> None:
    consumer = Consumer()

    assert read(consumer, (7, 7), (7, 7)) == []
    assert consumer.polls == 0


def test_an_open_transaction_is_said_once_and_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(read_to_end, "HIDDEN_AFTER", 0.0)
    # What comes to the first partition from beyond its end does not hide that the second one waits.
    consumer = Consumer(({FIRST: [0]}, (1, 0)), ({FIRST: [1]}, (2, 0)), ({}, (2, 0)), ({SECOND: [0]}, (2, 1)))

    with caplog.at_level(logging.WARNING):
        assert read(consumer, (0, 0), (1, 1))[-1] == ({SECOND: [0]}, (1, 1))

    (said,) = caplog.records
    assert said.message == (
        "short of the end, but nothing comes: a producer's transaction is open, or the broker is away"
    )
    assert said.__dict__["fields"] == {"topic": "labels", "partitions": [1]}


def test_where_nothing_comes_for_too_long_it_ends_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_to_end, "GIVE_UP_AFTER", 0.0)

    with pytest.raises(CommandError, match="nothing comes from labels/1 short of its end"):
        read(Consumer(({FIRST: [0]}, (1, 0)), ({}, (1, 0))), (0, 0), (1, 1))


def test_what_the_caller_does_with_the_records_is_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(read_to_end, "time", SimpleNamespace(monotonic=lambda: now))
    consumer = Consumer(({FIRST: [0]}, (1, 0)), ({}, (1, 0)), ({FIRST: [1]}, (2, 0)))

    for polled, _ in read_range(consumer, {FIRST: 0, SECOND: 0}, {FIRST: 2, SECOND: 0}):
        now += 2 * read_to_end.GIVE_UP_AFTER if polled else 0.0

    assert consumer.polls == 3
