"""Stage `read`: committed records of a range of offsets, without a group: what is done the files say."""

import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError

from consumer.export.ranges import Range, next_cut
from consumer.kafka.offsets import ROUND_TRIP_MS
from producer.base.errors import CommandError
from producer.base.logs import event

log = logging.getLogger(__name__)

POLL_MS = 500
RECORDS = 2_000
"""Most records of a poll."""
HIDDEN_AFTER = 5.0
"""Seconds without a record, short of the end, after which that is said."""
GIVE_UP_AFTER = 60.0
"""Seconds of the same after which the reading ends: the transactions of `label` last 15 at most."""

Stream = Iterator[tuple[Sequence[Any], int]]
"""Records in the order of their offsets, and each time the offset below which no more come."""


def read(consumer: Any, topic: str, wanted: Range) -> Stream:
    """The committed records of a range.

    The offset beside them passes what is no record: markers of transactions, and records of aborted ones. An open
    transaction is waited for: what lies behind it is not seen before it ends.

    Args:
        consumer: of `groupless.build_consumer`.
        topic: its topic.
        wanted: what to read; at least one offset.

    Raises:
        CommandError: nothing comes for a minute, or a record cannot be read.
    """
    partition = TopicPartition(topic, wanted.partition)
    consumer.assign([partition])
    consumer.seek(partition, wanted.first)
    position, read_at, said = wanted.first, time.monotonic(), False
    while position < wanted.end:
        try:
            polled = consumer.poll(timeout_ms=POLL_MS, max_records=RECORDS).get(partition, ())
            now = consumer.position(partition, timeout_ms=ROUND_TRIP_MS) or 0
        except KafkaError as error:
            raise CommandError(
                f"{topic}/{wanted.partition} cannot be read at or after offset {position}: {error}"
            ) from None
        waited = time.monotonic() - read_at
        if now > position:
            read_at = time.monotonic()
        elif waited > GIVE_UP_AFTER:
            raise CommandError(
                f"nothing comes from {topic}/{wanted.partition} short of its end for {waited:.0f} s: a producer's "
                "transaction is open (kafka-transactions describe-producers shows whose), or the broker is away; run "
                "it again later, it goes on where it was"
            )
        elif waited > HIDDEN_AFTER and not said:
            said = True
            event(
                log,
                logging.WARNING,
                "short of the end, but nothing comes: a producer's transaction is open, or the broker is away",
                topic=topic,
                partition=wanted.partition,
                offset=position,
            )
        position = min(now, wanted.end)
        yield [record for record in polled if record.offset < wanted.end], position


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
