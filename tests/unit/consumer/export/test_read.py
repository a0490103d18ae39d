from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from kafka import TopicPartition
from kafka.errors import CorruptRecordError

from consumer.export.ranges import Range
from consumer.export.read import Stream, read, split
from producer.base.errors import CommandError

Polled = tuple[Sequence[int], int]  # offsets of the records, and the position afterwards


def record(offset: int) -> Any:
    return SimpleNamespace(offset=offset)


def offsets(stream: Stream) -> list[Polled]:
    return [([each.offset for each in records], position) for records, position in stream]


def test_a_record_that_cannot_be_read_is_named() -> None:
    partition = TopicPartition("labels", 4)
    consumer = Mock(**{"poll.side_effect": [{partition: [record(0)]}, CorruptRecordError("checksum")]})
    consumer.position.return_value = 1

    stream = read(consumer, "labels", Range(4, 0, 2))

    assert next(stream) == ([record(0)], 1)
    with pytest.raises(CommandError, match="labels/4 cannot be read at or after offset 1: .*checksum"):
        next(stream)


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
