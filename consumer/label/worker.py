"""The worker: Kafka in -> classify -> Kafka out, each post exactly once. Start reading here.

Three kinds of threads: *main* (this loop; it alone touches consumer and producer), the decode pool and one model thread
(`encode.py`). At most two batches are in flight; not polling is the back-pressure.
"""

import logging
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from kafka.errors import (
    AuthorizationError,
    KafkaError,
    LogTruncationError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    ProducerFencedError,
)

from consumer.dead_letter import DeadLetter
from consumer.encoded_post import EncodedPost
from consumer.health import Health
from consumer.kafka.orphans import is_fenced
from consumer.kafka.watchdog import Watchdog
from consumer.label.batch import Batch
from consumer.label.breaker import Breaker
from consumer.label.encode import Inference, InFlight, Labeled
from consumer.label.group import Reassigned, TooSlow
from consumer.label.live import Live
from consumer.label.pace import Pace
from consumer.label.publish import Outcome, Sink
from consumer.label.read import POLL_SLICE, Source, Stuck
from consumer.label.settings import WorkerSettings
from consumer.metrics import LabelMetrics
from producer.base.errors import CommandError
from producer.base.logs import event

log = logging.getLogger(__name__)

Recoverable = (Reassigned, Stuck, KafkaError)
"""What `_recover` handles. There is no sorting into abortable and fatal; only being fenced ends the worker."""
OFFSET_ERRORS = (NoOffsetForPartitionError, OffsetOutOfRangeError, LogTruncationError)
LONGEST_PAUSE = 2.0
"""Seconds between two recoveries at most; the pause grows until something is published again."""
REJOIN_AFTER = 8
"""Failed recoveries in a row after which the worker leaves the group and joins again: that wakes a coordinator up."""
HIDDEN_AFTER = 5.0
"""Seconds without a record, short of the end, after which the reason is looked for."""
LONGEST_TURN = 2.0
"""Seconds between two turns of the loop that are not spent on publishing or going back."""
ENCODE_LIMIT = 0.8
"""Share of MAX_POLL_INTERVAL that a batch may take to be decoded and encoded; then the worker ends itself."""


class Hanging(CommandError):
    """The model, or decoding, does not come back in time. Only a restart helps."""


class PublishFailed(KafkaError):  # type: ignore[misc]  # kafka-python has no types
    """The broker refused a transaction, or it did not end in time."""


class Worker:
    """Reads, labels and publishes until it is stopped or, with --stop-at-end, until nothing is left."""

    def __init__(
        self,
        settings: WorkerSettings,
        source: Source,
        sink: Sink,
        inference: Inference[Any],
        metrics: LabelMetrics,
        health: Health,
        live: Live,
        watchdog: Watchdog,
        stop: threading.Event,
    ) -> None:
        """Put the parts together.

        Args:
            settings: the worker's settings.
            source: stage read.
            sink: stage publish.
            inference: stages decode and encode.
            metrics: where everything is counted.
            health: is told of every turn of the loop.
            live: the line on a terminal.
            watchdog: ends the process when a publish hangs.
            stop: set by SIGTERM and SIGINT.
        """
        self._settings = settings
        self._source, self._sink, self._inference = source, sink, inference
        self._metrics, self._health, self._live, self._stop = metrics, health, live, stop
        self._breaker = Breaker(settings.breaker_consecutive, settings.breaker_ratio)
        self._watchdog = watchdog
        self._has_joined = False  # for the first time
        self.labeled = 0  # labelled posts committed
        self.died: Counter[tuple[str, str]] = Counter()  # dead letters committed, by reason and kind
        self._pause = 0.0  # seconds before the next recovery
        self._in_flight: deque[InFlight] = deque()
        self._pace = Pace(settings)
        self._join_by = time.monotonic() + settings.startup_timeout
        self._progress_at = time.monotonic()
        self._said_hidden = False
        self._turned_at = time.monotonic()
        self._waited = 0.0  # seconds for the batch that is in the model

    @property
    def is_busy(self) -> bool:
        """Whether the model is still busy with a batch, perhaps for good."""
        return self._inference.is_busy

    @property
    def dead(self) -> int:
        """Dead letters committed."""
        return self.died.total()

    def run(self) -> None:
        """The loop.

        Raises:
            CommandError: the worker cannot go on; nothing of the last batch was published.
        """
        try:
            self._loop()
            self._drain()
        except Hanging:
            raise  # as if it had been killed: the record may be to blame
        except CommandError:
            self._source.release()
            raise
        self._source.release()

    def _loop(self) -> None:
        self._source.join()
        while not self._stop.is_set():
            self._turn()
            try:
                oldest = self._in_flight[0] if self._in_flight else None
                if len(self._in_flight) < self._source.most_in_flight:
                    batch = self._source.next_batch(oldest, self._pace.most)
                    if batch:
                        self._in_flight.append(self._inference.start(batch))
                elif oldest:
                    oldest.wait(POLL_SLICE)
                if oldest and oldest.done():
                    self._publish(self._in_flight.popleft())
                elif not self._in_flight:
                    self._check_idle()
                    if self._source.is_at_end():
                        break
            except Recoverable as cause:
                self._recover(cause)

    def _publish(self, flight: InFlight, timeout: float = 0) -> None:
        """Settle a batch and publish it, or nothing of it."""
        batch, settled = flight.batch, flight.settle(timeout)
        outcomes, encoded = _made_of(batch, settled)
        started = time.monotonic()
        records, outcomes = self._sink.outgoing(batch, outcomes, self._pace.is_too_slow, encoded)
        failed = [
            each if isinstance(each, DeadLetter) else None
            for each in outcomes
            if not isinstance(each, DeadLetter) or each.may_be_ours
        ]
        self._breaker.judge(failed)
        self._source.check(batch)
        self._sink.check()
        began = time.monotonic()
        try:
            with self._watchdog.limit(self._settings.publish_limit, "publishing a batch"):
                self._sink.publish(batch, records)
        except (KafkaError, ValueError) as error:
            took = time.monotonic() - began
            if is_fenced(error) and (took < self._settings.transaction_ms / 1000 or self._sink.has_twin(batch)):
                raise CommandError(
                    f"fenced: another worker uses replica {self._settings.replica} of group {self._settings.group_id}; "
                    f"nothing of this batch was published ({error})"
                ) from None
            self._metrics.transactions.labels("aborted").inc()
            self._pace.record_failure(batch, sum(each.size for each in records), took, error)
            raise PublishFailed(f"{type(error).__name__}: {error}") from error
        self._breaker.remember(failed)
        self._record_published(batch, settled, outcomes, time.monotonic() - started)

    def _recover(self, cause: Exception) -> None:
        """The one way back: forget what is in flight, end an open transaction, go on from what is committed."""
        for flight in self._in_flight:
            flight.cancel()
        self._in_flight.clear()
        if self._stop.is_set():
            return
        name = self._name(cause)
        self._metrics.resyncs.labels(name).inc()
        harmless = name in ("start", "rebalance", "offset") and not isinstance(cause, TooSlow)
        if name == "rebalance":
            self._pace.forget_partitions()
        event(log, logging.INFO if harmless else logging.WARNING, "resync", cause=name, why=_why(cause))
        self._stop.wait(self._pause)
        self._pause = min(self._pause * 2 + 0.05, LONGEST_PAUSE)
        pause, failures = 0.1, 0
        while not self._stop.is_set():
            self._turn()
            try:
                with self._watchdog.limit(2 * self._settings.publish_limit, "going back to the committed offsets"):
                    self._sink.recover()
                    if failures:
                        self._sink.abort_orphaned_transactions()
                    if isinstance(cause, Stuck) or failures >= REJOIN_AFTER:
                        self._source.rejoin()
                    self._source.resync()
                return
            except ProducerFencedError as error:
                raise CommandError(f"fenced: another worker uses replica {self._settings.replica} ({error})") from None
            except Recoverable as error:
                if isinstance(error, AuthorizationError) and not self._has_joined:
                    raise CommandError(f"the broker refused: {error}") from None
                self._pace.forget_refusals()
                event(log, logging.WARNING, "the broker does not let it go on", why=error, again_in=f"{pause:g}s")
                self._stop.wait(pause)
                pause, failures = min(pause * 2, 5.0), failures + 1

    def _check_idle(self) -> None:
        """Make sure, while nothing is in flight, that there is a reason: nothing is stuck, and nothing hangs.

        With --stop-at-end it says, once, that another producer's transaction hides what is left.
        """
        self._metrics.last_progress.set_to_current_time()
        self._pause = 0.0
        self._source.check_moving()
        self._sink.check()
        may_be_hidden = self._settings.stop_at_end and time.monotonic() - self._progress_at > HIDDEN_AFTER
        if may_be_hidden and not self._said_hidden and (hidden := self._source.hidden_by_transaction()):
            self._said_hidden = True
            event(log, logging.WARNING, "waiting for an open transaction of another producer", partitions=hidden)

    def _drain(self) -> None:
        """Publish what is in flight within DRAIN_TIMEOUT; what is not comes again."""
        deadline = time.monotonic() + self._settings.drain_timeout
        try:
            while self._in_flight:
                self._publish(self._in_flight.popleft(), timeout=max(0.0, deadline - time.monotonic()))
        except (TimeoutError, *Recoverable) as error:
            event(log, logging.WARNING, "stopped before everything in flight was published; it comes again", why=error)

    def _record_published(
        self, batch: Batch, settled: Sequence[Labeled | DeadLetter], outcomes: Sequence[Outcome], seconds: float
    ) -> None:
        """Count, log and show a batch that is committed."""
        metrics, now = self._metrics, time.time()
        self._pause = 0.0
        self._pace.record_commit(batch, seconds)
        self._progress_at = time.monotonic()
        metrics.last_progress.set(now)
        metrics.transactions.labels("committed").inc()
        metrics.stage_seconds.labels("publish").observe(seconds)
        died: defaultdict[tuple[str, str], list[tuple[Any, DeadLetter]]] = defaultdict(list)  # by reason and kind
        classified = 0
        for record, labeled, outcome in zip(batch.records, settled, outcomes, strict=True):
            metrics.end_to_end.observe(max(0.0, now - record.timestamp / 1000))
            if isinstance(outcome, DeadLetter):
                metrics.dead_letters.labels(outcome.stage, outcome.reason).inc()
                died[outcome.reason, outcome.kind].append((record, outcome))
            else:
                classified += outcome.place is not None
                if outcome.broader is not None:
                    metrics.broader.labels(outcome.broader.level).inc()
            if not isinstance(labeled, DeadLetter):
                labeled.record_published()
        self._source.record_commit(batch)
        dead = sum(map(len, died.values()))
        for name, posts in (("classified", classified), ("dead", dead)):
            metrics.posts.labels(name).inc(posts)
        metrics.posts.labels("not_classified").inc(len(outcomes) - classified - dead)
        self.labeled += len(outcomes) - dead
        self.died.update({kind: len(letters) for kind, letters in died.items()})
        self._live.show(self.labeled, self.dead, self._source.total_lag())
        offsets = ",".join(f"{tp.partition}@{after.offset}" for tp, after in sorted(batch.offsets.items()))
        event(
            log,
            logging.INFO if self._live.disable else logging.DEBUG,  # the live line says it
            "published",
            stage="publish",
            posts=len(outcomes),
            dead=dead,
            offsets=offsets,
            seconds=f"{seconds:.3f}",
        )
        for letters in died.values():
            record, first = letters[0]
            event(
                log,
                logging.WARNING,
                "dead letter",
                stage=first.stage,
                reason=first.reason,
                posts=len(letters),
                partition=record.partition,
                offset=record.offset,
                why=first.message,
            )

    def _turn(self) -> None:
        """What is due at every turn of the loop, also while the broker is away.

        Raises:
            CommandError: the group was not joined within STARTUP_TIMEOUT.
            Hanging: the model does not come back.
        """
        self._health.record_turn()
        now = time.monotonic()
        # A process that stands still is no model that hangs: of the time between two turns only so much counts.
        self._waited = min(self._waited + min(now - self._turned_at, LONGEST_TURN), self._inference.busy())
        self._turned_at = now
        if self._waited > ENCODE_LIMIT * self._settings.max_poll_interval:
            raise Hanging(
                f"a batch is in the model for more than {ENCODE_LIMIT:.0%} of MAX_POLL_INTERVAL "
                f"({self._settings.max_poll_interval:g} s), after which the group would move on"
            )
        if not self._has_joined and self._source.has_joined():
            self._has_joined = self._health.ready = True
            event(log, logging.INFO, "joined", group=self._settings.group_id, replica=self._settings.replica)
        if not self._has_joined and time.monotonic() > self._join_by:
            raise CommandError(
                f"could not join group {self._settings.group_id} at {self._settings.bootstrap_servers} within "
                f"{self._settings.startup_timeout:g} s (STARTUP_TIMEOUT)"
            )

    def _name(self, cause: Exception) -> str:
        """The cause as the closed label of `resyncs_total`."""
        if not self._has_joined and isinstance(cause, (Reassigned, NoOffsetForPartitionError)):
            return "start"
        if isinstance(cause, Reassigned):
            return "rebalance"
        if isinstance(cause, OFFSET_ERRORS):
            return "offset"
        if isinstance(cause, Stuck):
            return "stuck"
        return "publish" if isinstance(cause, PublishFailed) else "broker"


def _why(cause: Exception) -> str:
    """The cause in words."""
    if isinstance(cause, NoOffsetForPartitionError):
        return "nothing is committed yet: from the beginning"
    return str(cause)


def _made_of(batch: Batch, settled: Sequence[Labeled | DeadLetter]) -> tuple[list[Outcome], dict[int, EncodedPost]]:
    """What became of each record, and what is published beside the label of some, by their number."""
    now = datetime.now(UTC)
    outcomes: list[Outcome] = []
    encoded: dict[int, EncodedPost] = {}
    for number, (record, labeled) in enumerate(zip(batch.records, settled, strict=True)):
        if isinstance(labeled, DeadLetter):
            outcomes.append(labeled)
            continue
        outcomes.append(labeled.labeled_post(record, now))
        if beside := labeled.encoded_post(record, now):
            encoded[number] = beside
    return outcomes, encoded
