from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import CorruptRecordError

from consumer.export.ranges import Range
from consumer.export.read import Stream, read, split
from producer.base.errors import CommandError

Polled = tuple[Sequence[int], int]  # offsets of the records, and the position afterwards


def record(offset: int) -> Any:
    return SimpleNamespace(offset=offset)


class Consumer:
    """A consumer of one partition that answers as it is told; its last answer again and again."""

    def __init__(self, *answers: Polled | Exception) -> None:
        self._answers = list(answers)
        self._position = 0

    def assign(self, partitions: list[TopicPartition]) -> None:
        (self._partition,) = partitions

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._position = offset

    def poll(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        offsets, self._position = answer
        return {self._partition: [record(offset) for offset in offsets]} if offsets else {}

    def position(self, partition: TopicPartition, timeout_ms: int) -> int:
        return self._position


def offsets(stream: Stream) -> list[Polled]:
    return [([each.offset for each in records], position) for records, position in stream]


def test_it_reads_to_the_end_that_was_asked_for_and_no_further() -> None:
    consumer = Consumer(([3, 4], 5), ([5, 8, 9], 10))

    assert offsets(read(consumer, "labels", Range(1, 3, 9))) == [([3, 4], 5), ([5, 8], 9)]


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
