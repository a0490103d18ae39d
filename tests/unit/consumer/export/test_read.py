import logging
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import CorruptRecordError

from consumer.export import read as reading
from consumer.export.ranges import Range
from consumer.export.read import read, split
from producer.base.errors import CommandError

Polled = tuple[Sequence[int], int]  # offsets of the records, and the position afterwards


def record(offset: int) -> Any:
    return SimpleNamespace(offset=offset)


class Consumer:
    """A consumer of one partition that answers as it is told; its last answer again and again."""

    def __init__(self, *answers: Polled | Exception) -> None:
        self._answers = list(answers)
        self._position = 0
        self.polls = 0

    def assign(self, partitions: list[TopicPartition]) -> None:
        (self._partition,) = partitions

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._position = offset

    def poll(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        self.polls += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        offsets, self._position = answer
        return {self._partition: [record(offset) for offset in offsets]} if offsets else {}

    def position(self, partition: TopicPartition, timeout_ms: int) -> int:
        return self._position


def offsets(stream: reading.Stream) -> list[Polled]:
    return [([each.offset for each in records], position) for records, position in stream]


def test_it_reads_to_the_end_that_was_asked_for_and_no_further() -> None:
    consumer = Consumer(([3, 4], 5), ([5, 8, 9], 10))

    assert offsets(read(consumer, "labels", Range(1, 3, 9))) == [([3, 4], 5), ([5, 8], 9)]
    assert consumer.polls == 2


def test_markers_and_aborted_records_at_the_end_are_passed() -> None:
    consumer = Consumer(([0], 1), ([], 6))

    assert offsets(read(consumer, "labels", Range(0, 0, 6))) == [([0], 1), ([], 6)]


def test_an_open_transaction_is_said_once_and_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reading, "HIDDEN_AFTER", 0.0)
    consumer = Consumer(([0], 1), ([], 1), ([], 1), ([1], 2))

    with caplog.at_level(logging.WARNING):
        assert offsets(read(consumer, "labels", Range(0, 0, 2)))[-1] == ([1], 2)

    assert [entry.message for entry in caplog.records].count(
        "short of the end, but nothing comes: a producer's transaction is open, or the broker is away"
    ) == 1


def test_where_nothing_comes_for_too_long_it_ends_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "GIVE_UP_AFTER", 0.0)
    consumer = Consumer(([0], 1), ([], 1))

    with pytest.raises(CommandError, match="nothing comes from labels/0 short of its end"):
        list(read(consumer, "labels", Range(0, 0, 2)))


def test_a_record_that_cannot_be_read_is_named() -> None:
    consumer = Consumer(([0], 1), CorruptRecordError("checksum"))

    with pytest.raises(CommandError, match="labels/4 cannot be read at or after offset 1: .*checksum"):
        list(read(consumer, "labels", Range(4, 0, 2)))


@pytest.mark.parametrize(
    ("stream", "pieces"),
    [
        ([([0, 1], 2)], [([0, 1], 2)]),
        ([([8, 9, 10, 11], 12)], [([8, 9], 10), ([10, 11], 12)]),
        ([([8, 9], 10), ([10], 11)], [([8, 9], 10), ([], 10), ([10], 11)]),
        ([([8, 31], 32)], [([8], 10), ([], 20), ([], 30), ([31], 32)]),
    ],
)
def test_a_stream_stops_at_every_multiple(stream: list[Polled], pieces: list[Polled]) -> None:
    whole = (([record(offset) for offset in found], position) for found, position in stream)

    assert offsets(split(whole, 0, 10)) == pieces
