"""Stage `read`: committed records of a range of offsets, without a group: what is done the files say."""

from collections.abc import Iterator, Sequence
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError

from consumer.export.ranges import Range, next_cut
from consumer.kafka.read_to_end import read_range
from producer.base.errors import CommandError

RECORDS = 2_000
"""Most records of a poll."""

Stream = Iterator[tuple[Sequence[Any], int]]
"""Records in the order of their offsets, and each time the offset below which no more come."""


def read(consumer: Any, topic: str, wanted: Range) -> Stream:
    """The committed records of a range.

    Args:
        consumer: of `bounded_consumer.build_consumer`.
        topic: its topic.
        wanted: what to read; at least one offset.

    Raises:
        CommandError: nothing comes for a minute, or a record cannot be read.
    """
    partition, position = TopicPartition(topic, wanted.partition), wanted.first
    try:
        for polled, positions in read_range(consumer, {partition: position}, {partition: wanted.end}, RECORDS):
            position = positions[partition]
            yield polled.get(partition, ()), position
    except KafkaError as error:
        raise CommandError(
            f"{topic}/{partition.partition} cannot be read at or after offset {position}: {error}"
        ) from None


def split(stream: Stream, first: int, every: int) -> Stream:
    """The same stream, but it stops at each multiple of `every`: no piece has records on both sides of one.

    Args:
        stream: the records of a range.
        first: where the range begins.
        every: offsets.
    """
    cut = next_cut(first, every)
    for records, position in stream:
        while position >= cut:
            yield [record for record in records if record.offset < cut], cut
            records = [record for record in records if record.offset >= cut]
            cut = next_cut(cut, every)
        yield records, position
