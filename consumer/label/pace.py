"""How much is published at once, and what the broker refused: a batch too slow for the line comes again in parts."""

import logging
from collections import Counter

from kafka.errors import CommitFailedError, KafkaTimeoutError

from consumer.kafka.transactions import PublishTimes
from consumer.label.batch import Batch
from producer.base.errors import CommandError
from producer.base.logs import event

log = logging.getLogger(__name__)

MOST_FAILURES = 5
"""Refusals of one batch, by a broker that answers, before the worker gives up (consumer/kafka/README.md, fact 16)."""
MOST_TIMEOUTS = 2
"""Of a large record by itself, after which it is published without its value."""
LARGE = 64 * 1024
"""Bytes. A smaller record that is not taken in time is refused, not slow."""
QUICK = 0.25
"""Share of the time for a delivery: what is published within it lets the next batch be twice as large."""

Place = tuple[str, int, int]
"""Topic, partition and offset of a batch's first record."""


class Pace:
    """What past publishes say about the next one. It lives in memory: a restart forgets it."""

    def __init__(self, batch_size: int, times: PublishTimes) -> None:
        """Begin with full batches.

        Args:
            batch_size: most records of a batch.
            times: how long a publish may take.
        """
        self.most = batch_size  # records of the next batch
        self._batch_size = batch_size
        self._times = times
        self._refused: Counter[Place] = Counter()
        self._timeouts: Counter[Place] = Counter()  # of large records by themselves

    def is_too_slow(self, batch: Batch) -> bool:
        """Whether its only record must go without its value: the line is too slow for all of it."""
        return len(batch.records) == 1 and self._timeouts[_place(batch)] >= MOST_TIMEOUTS

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
        if isinstance(error, CommitFailedError):  # fenced as stale: the group has moved on, the records are others' now
            return
        is_late = isinstance(error, KafkaTimeoutError) or seconds > self._times.publish_timeout
        place = _place(batch)
        if is_late and len(batch.records) > 1:
            self.most = len(batch.records) // 2
            event(
                log,
                logging.WARNING,
                "the broker does not take a batch in time: smaller ones follow",
                stage="publish",
                bytes=size,
                timeout=f"{self._times.publish_timeout:g}s",
                next_batch=self.most,
            )
            return
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
        if len(batch.records) == self.most and seconds < QUICK * self._times.delivery_ms / 1000:
            self.most = min(2 * self.most, self._batch_size)

    def forget_refusals(self) -> None:
        """The broker is away: that is no refusal."""
        self._refused.clear()


def _place(batch: Batch) -> Place:
    first = batch.records[0]
    return first.topic, first.partition, first.offset
