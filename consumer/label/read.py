"""Stage `read`: the consumer. It polls, closes batches, and goes back to what is committed when it must.

The traps of kafka-python that shape this file are listed in `consumer/kafka/README.md`.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from kafka import TopicPartition
from kafka.errors import CommitFailedError, CorruptRecordError, RebalanceInProgressError, UnsupportedCodecError

from consumer.kafka.offsets import ROUND_TRIP_MS, Ends, ends_of
from consumer.kafka.unpack import LARGEST
from consumer.kafka.watchdog import Watchdog
from consumer.label.batch import Batch, ClosedBy, Collected, Working
from consumer.label.group import Reassigned, Rebalances, TooSlow, build_admin, build_consumer
from consumer.label.lag import Lag
from consumer.label.positions import Positions
from consumer.label.published import Published
from consumer.label.settings import WorkerSettings
from consumer.label.trial import Trials
from consumer.metrics import LabelMetrics
from producer.base.connect import connect
from producer.base.errors import CommandError
from producer.base.logs import event

log = logging.getLogger(__name__)

POLL_SLICE = 0.5
"""Longest idle poll in seconds: a stop is seen within it."""
BUSY_SLICE = 0.02
"""Longest poll in seconds while a batch is in the model: its end is seen within it."""
POLL_LIMIT = 45.0
"""Seconds after which the watchdog ends the process: a poll may spin within the library."""
MOST_IN_FLIGHT = 2
"""Batches: one in the model, one being decoded. Not polling while there are so many is the back-pressure."""
LOOK_EVERY = 1.0
"""Seconds between two looks of a busy worker whether the topic is still the same."""


class Stuck(Exception):
    """A partition has records, but none come: the consumer, or an open transaction of another producer."""


class Source:
    """The input topic as batches. Owned by the main thread."""

    def __init__(
        self,
        settings: WorkerSettings,
        metrics: LabelMetrics,
        watchdog: Watchdog,
        stop: threading.Event,
        largest: int = LARGEST,
    ) -> None:
        """Connect, but do not join the group yet.

        Args:
            settings: the worker's settings.
            metrics: where everything is counted.
            watchdog: ends the process when a poll hangs.
            stop: ends waiting for a batch.
            largest: bytes of a record of a compressed batch; a larger one comes without its value.

        Raises:
            CommandError: the broker cannot be reached.
        """
        self._settings = settings
        self._metrics = metrics
        self._watchdog = watchdog
        self._stop = stop
        self._largest = largest
        self._rebalances = Rebalances()
        self._synced = 0  # the count of rebalances that the last good resync has seen
        self._collected = Collected()
        self._outside_since: float | None = None  # not in the group, in monotonic seconds
        self._join_limit = min(settings.stuck_after, settings.startup_timeout / 2)  # seconds; at first for two attempts
        self._admin = build_admin(settings)
        self._lag = Lag(build_admin(settings), settings.group_id, metrics, settings.stuck_after)
        self._published = Published(settings)
        self._positions = connect(
            settings, lambda: Positions(self._admin, self._published, settings.input_topic, metrics)
        )
        self._trials = Trials(
            self._admin, settings.group_id, self._positions.at, span=MOST_IN_FLIGHT * settings.batch_size
        )
        self._looked_at = time.monotonic()
        self._ends: Ends | None = None
        if settings.stop_at_end:
            self._ends = connect(settings, lambda: ends_of(self._admin, settings.input_topic))
        self._consumer = connect(settings, lambda: build_consumer(settings, largest))

    def join(self) -> None:
        """Subscribe; the group assigns partitions during the polls that follow."""
        self._consumer.subscribe([self._settings.input_topic], listener=self._rebalances)

    def next_batch(self, oldest: Working | None, most: int) -> Batch | None:
        """Collect records until a batch is full or its first record has waited for BATCH_DEADLINE.

        Args:
            oldest: the oldest batch in flight. When it is done this returns at once, and what is collected
                stays for the next call.
            most: records of the batch.

        Returns:
            A batch, or None: nothing came, the oldest batch is done, or a stop was asked for.

        Raises:
            Reassigned: the group was rebalanced; everything read so far is stale.
            KafkaError: expired or missing offsets among others; all lead to `resync`.
        """
        deadline = self._settings.batch_deadline
        most = 1 if self._trials.is_on else most
        while True:
            self._raise_if_reassigned()
            if by := self._collected.due(most, deadline):
                return self._close(by)
            if self._stop.is_set() or (oldest is not None and oldest.done()):
                return None
            if self._collected and self._at_end():
                return self._close("ready")
            slice_ = POLL_SLICE if oldest is None else BUSY_SLICE
            if self._collected:
                slice_ = min(slice_, deadline - self._collected.waited())
            if not self._poll(slice_, most) and not self._collected:
                return None

    def check(self, batch: Batch) -> None:
        """Make sure that the batch may still be published.

        One of an earlier generation would be refused, but one of generation -1 committed unfenced
        (consumer/kafka/README.md, fact 4).

        Raises:
            Reassigned: it is stale.
        """
        took, limit = time.monotonic() - batch.polled_at, self._settings.max_poll_interval
        generation = batch.group.generation_id
        is_over = generation < 0 or generation != self._consumer.group_metadata().generation_id
        if took > limit and (is_over or self._is_reassigned):
            raise TooSlow(
                f"a batch took {took:.0f} s, longer than MAX_POLL_INTERVAL ({limit:g} s), so the group gave its "
                "partitions away: lower BATCH_SIZE or raise MAX_POLL_INTERVAL"
            )
        self._raise_if_reassigned()
        if is_over:
            raise Reassigned(f"the batch is of generation {generation}, which is over")
        if time.monotonic() - self._looked_at > LOOK_EVERY:
            self._looked_at = time.monotonic()
            if self._positions.is_recreated():
                raise Reassigned(f"topic {self._settings.input_topic} was recreated")

    def record_commit(self, batch: Batch) -> None:
        """Record that the batch is committed: lag is measured from there."""
        self._positions.record_commit(batch.offsets)
        self._trials.record_commit(batch.offsets)
        self._lag.record_commit(batch.offsets)

    def resync(self) -> None:
        """Forget what is collected and go on from what is committed, or from the beginning: see `Positions`.

        Without this, records that were read and dropped would not come again (consumer/kafka/README.md, fact 2). The
        reassigned flag goes down only when all of it has ended well.

        Raises:
            KafkaError: the broker did not answer; ask again.
        """
        self._collected.clear()
        if self._positions.is_recreated():
            self.rejoin()  # the consumer may hold records of the old topic at the very offsets where the new one begins
            self._positions.look_again()
            self._ends = ends_of(self._admin, self._settings.input_topic) if self._ends else None
        seen = self._rebalances.count
        starts, latest = self._choose_starts()
        for partition, offset in starts.items():
            self._seek(partition, offset)
        with suppress(CommitFailedError, RebalanceInProgressError):  # the next poll joins the group again
            self._begin_trials(starts, latest)
        self._lag.restart(starts, latest, self._positions.after(0).metadata)
        self._synced = seen
        if starts:
            event(log, logging.INFO, "assigned", stage="read", positions=self._lag.positions())

    def has_joined(self) -> bool:
        """Whether the group has given this worker its partitions (possibly none) and they are in place."""
        return self._rebalances.assigned and not self._is_reassigned

    def is_at_end(self) -> bool:
        """Whether, with --stop-at-end, nothing is left to read or to hand out."""
        return not self._collected and self._at_end()

    def hidden_by_transaction(self) -> list[str]:
        """Partitions whose remaining records an open transaction of another producer hides, as ``topic/partition``."""
        stable = self._consumer.end_offsets(list(self._consumer.assignment()), timeout_ms=ROUND_TRIP_MS)
        ends = self._ends.latest if self._ends else {}
        return [f"{tp.topic}/{tp.partition}" for tp, end in sorted(stable.items()) if end < ends.get(tp, 0)]

    def check_moving(self) -> None:
        """For an idle worker: make sure that every partition with lag gives records.

        Raises:
            Stuck: one does not, or the group gives nothing out; `rejoin` and see.
            KafkaError: a partition was taken away this moment.
        """
        self._check_joined()
        if not self._collected and self.has_joined():
            self._lag.pass_markers(self._consumer)
            self._trials.clear_suspects()
        if stuck := self._lag.find_stuck():
            raise Stuck(
                f"nothing comes from {', '.join(f'{tp.topic}/{tp.partition}' for tp in stuck)}, which has records"
            )

    def _check_joined(self) -> None:
        """A broker or client that loses an answer leaves the worker outside for MAX_POLL_INTERVAL.

        Raises:
            Stuck: it has waited for STUCK_AFTER, or at the start for half of STARTUP_TIMEOUT.
        """
        if self.has_joined():
            self._outside_since, self._join_limit = None, self._settings.stuck_after
            return
        now = time.monotonic()
        self._outside_since = self._outside_since or now
        if now - self._outside_since > self._join_limit:
            self._outside_since = None
            raise Stuck(f"the group has given no partitions out for {self._join_limit:g} s")

    def rejoin(self) -> None:
        """Leave the group and join it with a new consumer.

        Raises:
            KafkaError: the broker does not answer; call again.
        """
        self._consumer.close(timeout_ms=ROUND_TRIP_MS)
        self._rebalances, self._synced = Rebalances(), 0
        self._consumer = build_consumer(self._settings, self._largest)
        self.join()

    @property
    def most_in_flight(self) -> int:
        """Batches that may be in flight; one while records are tried alone."""
        return 1 if self._trials.is_on else MOST_IN_FLIGHT

    def release(self) -> None:
        """Leave no note that this worker died: it ends cleanly."""
        self._trials.release(self._consumer)

    def total_lag(self) -> int:
        """Records not yet committed over all assigned partitions, as last seen."""
        return self._lag.total()

    def close(self) -> None:
        """Leave the group, so that others take over at once."""
        self._consumer.close(timeout_ms=ROUND_TRIP_MS)
        self._published.close()
        self._lag.close()
        self._admin.close()

    def _poll(self, seconds: float, most: int) -> bool:
        try:
            with self._watchdog.limit(POLL_LIMIT, "reading records"):
                polled = self._consumer.poll(
                    timeout_ms=max(0, int(seconds * 1000)), max_records=most - len(self._collected)
                )
        except (CorruptRecordError, UnsupportedCodecError) as error:
            # Polled again this consumer would spin without end (consumer/kafka/README.md, fact 21).
            raise CommandError(
                f"a record of {self._settings.input_topic} cannot be read at or after one of the offsets "
                f"{self._lag.positions()}: {error}"
            ) from None
        group = self._consumer.group_metadata()
        # After the metadata is taken (consumer/kafka/README.md, fact 5).
        self._raise_if_reassigned()
        found = self._wanted(polled)
        if found:
            self._collected.add(found, group)
        return bool(polled)

    def _choose_starts(self) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
        """Where each assigned partition goes on, and where it ends now; raises as `Positions.choose_starts` does."""
        return self._positions.choose_starts(self._consumer)

    def _begin_trials(self, starts: Mapping[TopicPartition, int], latest: Mapping[TopicPartition, int]) -> None:
        """Suspect records of which a worker may have died; raises as `Trials.begin` does."""
        self._trials.begin(self._consumer, self._positions.notes, starts, latest)

    def _wanted(self, polled: Mapping[TopicPartition, Sequence[Any]]) -> Mapping[TopicPartition, Sequence[Any]]:
        """Of what was polled; the rest is passed over as markers of transactions are."""
        return polled

    def _close(self, by: ClosedBy) -> Batch:
        self._metrics.stage_seconds.labels("read").observe(self._collected.waited())
        batch = self._collected.close(by, self._positions.after, self._positions.topic_id)
        if self._trials.is_on:
            (partition,) = batch.offsets
            batch = replace(batch, condemned=self._trials.try_alone(self._consumer, partition))
        self._metrics.batch_closed.labels(by).inc()
        self._metrics.batch_posts.observe(len(batch.records))
        return batch

    def _at_end(self) -> bool:
        if self._ends is None or not self.has_joined():
            return False
        latest = self._ends.latest
        return all(
            (self._consumer.position(partition, timeout_ms=ROUND_TRIP_MS) or 0) >= latest.get(partition, 0)
            for partition in self._consumer.assignment()
        )

    def _seek(self, partition: TopicPartition, offset: int) -> None:
        try:
            self._consumer.seek(partition, offset)
        except ValueError:  # no longer assigned
            raise Reassigned("the group was rebalanced") from None

    @property
    def _is_reassigned(self) -> bool:
        return self._rebalances.count != self._synced

    def _raise_if_reassigned(self) -> None:
        if self._is_reassigned:
            raise Reassigned("the group was rebalanced")
