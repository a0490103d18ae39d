"""Reading a topic up to an end that is given, committed records only and without a group, however long that is hidden.

A transaction that is open below the end is waited for: what lies behind it is not seen before it ends.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from math import inf
from typing import Any

from kafka import TopicPartition
from rich.console import Console
from rich.progress import Progress

from consumer.kafka.bounded_consumer import build_consumer
from consumer.kafka.offsets import ROUND_TRIP_MS, ends_of
from producer.base.errors import CommandError
from producer.base.logs import event
from producer.base.settings import KafkaSettings

log = logging.getLogger(__name__)

POLL_MS = 500
FETCH = 4 * 2**20
"""Bytes of a partition that one answer brings, if no single batch is larger: dead letters carry pictures."""
HIDDEN_AFTER = 5.0
"""Seconds without progress, short of the end, after which that is said."""
GIVE_UP_AFTER = 60.0
"""Seconds of the same after which a reading ends: the transactions of `label` last 15, unless it is told otherwise."""

Records = dict[TopicPartition, list[Any]]
Offsets = dict[TopicPartition, int]


class Silence:
    """How long nothing has come to a reader that stands short of the end."""

    def __init__(self, give_up_after: float = inf) -> None:
        """Begin now.

        Args:
            give_up_after: seconds.
        """
        self._give_up_after = give_up_after
        self._is_said = False
        self.end()

    def end(self) -> None:
        """Something has come."""
        self._since = time.monotonic()

    def check(self, behind: Collection[TopicPartition]) -> None:
        """Say why it may be, once, when it has lasted.

        Args:
            behind: the partitions that are short of the end; at least one.

        Raises:
            CommandError: it has lasted too long.
        """
        lasted = time.monotonic() - self._since
        if lasted > self._give_up_after:
            first = min(behind)
            raise CommandError(
                f"nothing comes from {first.topic}/{first.partition} short of its end for {lasted:.0f} s: a producer's "
                "transaction is open (kafka-transactions describe-producers shows whose), or the broker is away; run "
                "it again later"
            )
        if lasted > HIDDEN_AFTER and not self._is_said:
            self._is_said = True
            event(
                log,
                logging.WARNING,
                "short of the end, but nothing comes: a producer's transaction is open, or the broker is away",
                topic=min(behind).topic,
                partitions=sorted(partition.partition for partition in behind),
            )


def read_range(
    consumer: Any, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int], most: int = 500
) -> Iterator[tuple[Records, Offsets]]:
    """The committed records of a range of offsets of each partition, poll by poll.

    The offsets beside them are those below which no more come. They pass what is no record: markers of transactions,
    and records of aborted ones.

    Args:
        consumer: of `bounded_consumer.build_consumer`.
        starts: where each partition begins.
        ends: where each ends.
        most: records of a poll.

    Raises:
        CommandError: nothing comes for a minute.
        KafkaError: the broker was lost, or a record cannot be read.
    """
    consumer.assign(list(starts))
    for partition, offset in starts.items():
        consumer.seek(partition, offset)
    positions, silence = dict(starts), Silence(GIVE_UP_AFTER)
    while behind := [partition for partition, offset in positions.items() if offset < ends[partition]]:
        polled = consumer.poll(timeout_ms=POLL_MS, max_records=most)
        before, positions = positions, {tp: min(ends[tp], _position(consumer, tp)) for tp in positions}
        if positions == before:
            silence.check(behind)
        yield {tp: [each for each in records if each.offset < ends[tp]] for tp, records in polled.items()}, positions
        if positions != before:  # from now on: what the caller does with the records may take long
            silence.end()


def read_whole(
    settings: KafkaSettings, client_id: str, admin: Any, topic: str, doing: str, stop: threading.Event | None = None
) -> Iterator[Any]:
    """Every committed record of a topic up to its present end, with a progress bar on a terminal.

    Args:
        settings: where the broker is.
        client_id: of the consumer that reads.
        admin: a connected `KafkaAdminClient`.
        topic: it exists.
        doing: what it is for, beside the bar.
        stop: ends the reading early.

    Raises:
        CommandError: the broker cannot be reached, or nothing comes for a minute.
        KafkaError: it was lost.
    """
    ends = ends_of(admin, topic)
    done, total = sum(ends.earliest.values()), sum(ends.latest.values())
    consumer = build_consumer(settings, client_id, max_partition_fetch_bytes=FETCH)
    with closing(consumer), offsets_bar(doing, total - done) as advance:
        for polled, positions in read_range(consumer, ends.earliest, ends.latest):
            for records in polled.values():
                yield from records
            if stop and stop.is_set():
                return
            advance(sum(positions.values()) - done)
            done = sum(positions.values())


@contextmanager
def offsets_bar(doing: str, offsets: int) -> Iterator[Callable[[int], None]]:
    """What to call with the number of offsets that are done; a bar on a terminal.

    Args:
        doing: what stands beside the bar.
        offsets: how many there are.
    """
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(doing, total=offsets)
        yield lambda done: bar.advance(task, done)


def _position(consumer: Any, partition: TopicPartition) -> int:
    return consumer.position(partition, timeout_ms=ROUND_TRIP_MS) or 0
