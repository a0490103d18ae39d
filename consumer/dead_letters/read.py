"""A topic of dead letters or receipts, read once."""

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from consumer.kafka.bounded_consumer import build_consumer
from consumer.kafka.offsets import ends_of
from consumer.kafka.read_to_end import offsets_bar, read_range
from producer.base.settings import KafkaSettings

FETCH = 4 * 2**20
"""Bytes of a partition that one answer brings, if no single batch is larger: dead letters carry pictures."""


def read_whole(
    settings: KafkaSettings, admin: Any, topic: str, doing: str, stop: threading.Event | None = None
) -> Iterator[Any]:
    """Every committed record of a topic up to its present end, with a progress bar on a terminal.

    Args:
        settings: where the broker is.
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
    consumer = build_consumer(settings, "placestream-dead-letters", max_partition_fetch_bytes=FETCH)
    with closing(consumer), offsets_bar(doing, total - done) as advance:
        for polled, positions in read_range(consumer, ends.earliest, ends.latest):
            for records in polled.values():
                yield from records
            if stop and stop.is_set():
                return
            advance(sum(positions.values()) - done)
            done = sum(positions.values())
