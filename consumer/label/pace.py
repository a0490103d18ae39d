"""How much is published at once, and what the broker refused: a batch too slow for the line comes again in parts."""

import logging
from collections import Counter
from typing import Any

from kafka.errors import CommitFailedError, KafkaTimeoutError

from consumer.label.batch import Batch
from consumer.label.settings import WorkerSettings
from producer.base.errors import CommandError
from producer.base.logs import event

log = logging.getLogger(__name__)

MOST_FAILURES = 5
"""Refusals of one batch, by a broker that answers, before the worker gives up (consumer/kafka/README.md, fact 16)."""
MOST_TIMEOUTS = 3
"""Of a large record by itself, after which it is published without its value."""
LARGE = 64 * 1024
"""Bytes. A smaller record that is not taken in time is refused, not slow."""
QUICK = 0.25
"""Share of the time for a delivery: what is published within it lets the next batch be twice as large."""

Place = tuple[str, int, int]
"""Topic, partition and offset of a record."""


class Pace:
    """What past publishes say about the next one. It lives in memory: a restart forgets it."""

    def __init__(self, settings: WorkerSettings) -> None:
        """Begin with full batches.

        Args:
            settings: of the worker: how large a batch may be, and how long a publish may take.
        """
        self.most = settings.batch_size  # records of the next batch
        self._settings = settings
        self._slow: set[tuple[str, int]] = set()  # partitions of the last batch that was late
        self._refused: Counter[Place] = Counter()  # by the first record of the batch
        self._timeouts: Counter[Place] = Counter()  # of large records by themselves

    def is_too_slow(self, record: Any) -> bool:
        """Whether a record must go without its value: the line is too slow for all of it."""
        return self._timeouts[_place(record)] >= MOST_TIMEOUTS

    def record_failure(self, batch: Batch, size: int, seconds: float, error: Exception) -> None:
        """Record that a batch was not published. One that took too long comes again in halves, and is no refusal.

        Args:
            batch: nothing of it is published.
            size: of what was sent, in bytes.
            seconds: how long it took.
            error: why.

        Raises:
            CommandError: it was refused again and again; waiting does not help.
        """
        limit = min(self._settings.publish_timeout, self._settings.max_poll_interval)
        is_late = isinstance(error, KafkaTimeoutError) or seconds > limit
        if isinstance(error, CommitFailedError) and not is_late:  # the group has moved on, the records are others' now
            return
        if is_late and len(batch.records) > 1:
            self.most = len(batch.records) // 2
            self._slow = {(each.topic, each.partition) for each in batch.offsets}
            event(
                log,
                logging.WARNING,
                "the broker does not take a batch in time: smaller ones follow",
                stage="publish",
                bytes=size,
                timeout=f"{self._settings.publish_timeout:g}s",
                next_batch=self.most,
            )
            return
        place = _place(batch.records[0])
        if is_late and size > LARGE:
            self._timeouts[place] += 1
        self._refused[place] += 1
        if self._refused[place] >= MOST_FAILURES:
            topic, partition, offset = place
            why = "did not take in time (PUBLISH_TIMEOUT)" if is_late else "refused"
            raise CommandError(
                f"the broker answers, but {why} {MOST_FAILURES} times the batch that begins at {topic}/{partition} "
                f"offset {offset}; nothing of it was published: {error}"
            )

    def record_commit(self, batch: Batch, seconds: float) -> None:
        """Record that a batch was published, and how long that took."""
        for past in (self._refused, self._timeouts):
            for place in [place for place in past if place[:2] in batch.offsets]:
                del past[place]
        self._slow -= {(each.topic, each.partition) for each in batch.offsets}
        is_quick = len(batch.records) == self.most and seconds < QUICK * self._settings.delivery_ms / 1000
        if is_quick and not self._slow:  # else a giant that waits would be in a large batch again
            self.most = min(2 * self.most, self._settings.batch_size)

    def forget_refusals(self) -> None:
        """The broker is away: those were none, and no line was slow."""
        self._refused.clear()
        self._timeouts.clear()

    def forget_partitions(self) -> None:
        """The group has given partitions out again: what was slow may be others'."""
        self._slow.clear()


def _place(record: Any) -> Place:
    return record.topic, record.partition, record.offset
