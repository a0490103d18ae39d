"""A whole topic, read once: committed records only, without a group."""

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.progress import Progress

from consumer.kafka.groupless import build_consumer
from consumer.kafka.offsets import ROUND_TRIP_MS, ends_of
from producer.base.connect import connect
from producer.base.errors import CommandError
from producer.base.logs import event
from producer.base.settings import KafkaSettings

log = logging.getLogger(__name__)

POLL_MS = 500
FETCH = 4 * 2**20
"""Bytes of a partition that one answer brings, if no single batch is larger: dead letters carry pictures."""
HIDDEN_AFTER = 5.0
"""Seconds without a record, short of the end, after which that is said."""
GIVE_UP_AFTER = 60.0
"""Seconds of the same after which the reading ends: the transactions of `label` last 15 at most."""


def read_whole(
    settings: KafkaSettings, admin: Any, topic: str, doing: str, stop: threading.Event | None = None
) -> Iterator[Any]:
    """Every committed record of a topic up to its present end, with a progress bar on a terminal.

    A transaction that is open below the end is waited for: what lies behind it is not seen before it ends.

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
    console = Console(stderr=True)
    consumer = connect(
        settings, lambda: build_consumer(settings, "placestream-dead-letters", max_partition_fetch_bytes=FETCH)
    )
    try:
        consumer.assign(list(ends.latest))
        for partition, beginning in ends.earliest.items():
            consumer.seek(partition, beginning)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task(doing, total=sum(ends.latest.values()) - sum(ends.earliest.values()))
            read_at, said = time.monotonic(), False
            while not (stop and stop.is_set()):
                positions = {tp: consumer.position(tp, timeout_ms=ROUND_TRIP_MS) or 0 for tp in ends.latest}
                bar.update(task, completed=sum(positions.values()) - sum(ends.earliest.values()))
                behind = [tp for tp, end in ends.latest.items() if positions[tp] < end]
                if not behind:
                    return
                polled = consumer.poll(timeout_ms=POLL_MS)
                for tp, records in polled.items():
                    yield from (record for record in records if record.offset < ends.latest[tp])
                waited = time.monotonic() - read_at
                if polled:
                    read_at = time.monotonic()
                elif waited > GIVE_UP_AFTER:
                    raise CommandError(
                        f"nothing comes from {behind[0].topic}/{behind[0].partition} short of its end for {waited:.0f} "
                        "s: a producer's transaction is open (kafka-transactions describe-producers shows whose), or "
                        "the broker is away"
                    )
                elif waited > HIDDEN_AFTER and not said:
                    said = True
                    event(
                        log,
                        logging.WARNING,
                        "short of the end, but nothing comes: a producer's transaction is open, or the broker is away",
                        topic=topic,
                        partitions=[tp.partition for tp in behind],
                    )
    finally:
        consumer.close(timeout_ms=1_000)
