"""Every metric of every role, its meaning and its unit. Names and closed labels are a contract."""

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from consumer.classify.places import LEVELS
from consumer.dead_letter import STAGES

STAGE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
AGE_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

RESYNC_CAUSES = ("start", "rebalance", "publish", "offset", "broker", "stuck")
"""Why a worker went back to what is committed; see `consumer.label.worker`."""


def _kinds(registry: CollectorRegistry) -> tuple[partial[Counter], partial[Gauge], partial[Histogram]]:
    return partial(Counter, registry=registry), partial(Gauge, registry=registry), partial(Histogram, registry=registry)


class LabelMetrics:
    """What `label` measures. All closed label combinations start at 0, so that `increase` sees a first event."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register every metric.

        Args:
            registry: where they are exposed from; the process's own, or a fresh one in tests.
        """
        counter, gauge, histogram = _kinds(registry)
        # Posts whose outcome is committed. outcome: classified | not_classified (below the threshold) | dead.
        self.posts = counter("placestream_posts", "Posts by outcome, committed", ["outcome"])
        # Those not classified that have a broader answer, by the level of its group.
        self.broader = counter("placestream_broader_posts", "Posts with a broader answer, committed", ["level"])
        # Dead letters committed, by the stage that gave up and the reason.
        self.dead_letters = counter("placestream_dead_letters", "Dead letters, committed", ["stage", "reason"])
        # Pictures that ended early and were labelled all the same, cut to the rows that are there.
        self.cut_pictures = counter("placestream_cut_pictures", "Pictures cut to the rows that are there")
        # Seconds a batch spends in a stage; image and text are the two parts of encode.
        self.stage_seconds = histogram(
            "placestream_stage_seconds", "Seconds per batch", ["stage"], buckets=STAGE_BUCKETS
        )
        # Posts in a batch when it is closed.
        self.batch_posts = histogram("placestream_batch_posts", "Posts per batch", buckets=BATCH_BUCKETS)
        # Why a batch was closed. size: full; deadline: its first post waited BATCH_DEADLINE; ready: nothing more comes.
        self.batch_closed = counter("placestream_batch_closed", "Batches by what closed them", ["by"])
        # What became of captions. done: encoded; skipped: the picture alone was sure; no_caption: there was none.
        self.text_encodings = counter("placestream_text_encodings", "Captions by what was done", ["outcome"])
        # Transactions by result: committed, or given up (refused, timed out, stale).
        self.transactions = counter("placestream_transactions", "Transactions", ["result"])
        # How often the worker went back to the committed offsets, by cause.
        self.resyncs = counter("placestream_resyncs", "Returns to committed offsets", ["cause"])
        # Seconds from a post's record timestamp (its entry into Kafka) to the commit of its label.
        self.end_to_end = histogram("placestream_end_to_end_seconds", "Record timestamp to commit", buckets=AGE_BUCKETS)
        # Of each assigned partition, asked of the broker on a timer; not a number when it does not answer for 30 s.
        # Records of the input not yet committed.
        self.lag = gauge("placestream_consumer_lag_records", "Input records behind", ["partition"])
        # Seconds since the first of them entered Kafka; 0 when there is none.
        self.oldest_waiting = gauge(
            "placestream_oldest_waiting_seconds", "Age of the first record behind", ["partition"]
        )
        # Its offset: the next one to be labelled. Markers and aborted records are passed over by an idle worker.
        self.committed_offset = gauge(
            "placestream_committed_offset", "Offset of the first record behind", ["partition"]
        )
        # Records that expired, or vanished with their topic, before they were read.
        self.expired = counter("placestream_expired_records", "Records lost to retention unread", ["partition"])
        # Partitions this worker has now.
        self.assigned_partitions = gauge("placestream_assigned_partitions", "Partitions assigned")
        # Assigned partitions with lag that give an idle worker nothing for STUCK_AFTER.
        self.stuck_partitions = gauge("placestream_stuck_partitions", "Partitions that do not move")
        # Partitions of the input topic.
        self.topic_partitions = gauge("placestream_topic_partitions", "Partitions of the input")
        # Unix time of the last turn of the loop that published, or found nothing to do.
        self.last_progress = gauge("placestream_last_progress_timestamp_seconds", "Last progress")
        # 1; which build and which encoder this is.
        self.build_info = gauge("placestream_build_info", "Version and encoder", ["version", "encoder"])
        # 1; which label set is in use.
        self.places_info = gauge("placestream_places_info", "Label set", ["places"])

        for outcome in ("classified", "not_classified", "dead"):
            self.posts.labels(outcome)
        for level in LEVELS:
            self.broader.labels(level)
        for stage, reasons in STAGES.items():
            for reason in reasons:
                self.dead_letters.labels(stage, reason)
        for stage in (*STAGES, "image", "text"):
            self.stage_seconds.labels(stage)
        for by in ("size", "deadline", "ready"):
            self.batch_closed.labels(by)
        for outcome in ("done", "skipped", "no_caption"):
            self.text_encodings.labels(outcome)
        for result in ("committed", "aborted"):
            self.transactions.labels(result)
        for cause in RESYNC_CAUSES:
            self.resyncs.labels(cause)


class RelabelMetrics(LabelMetrics):
    """What `relabel` measures: what `label` does, of labels made of vectors."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register every metric.

        Args:
            registry: where they are exposed from; the process's own, or a fresh one in tests.
        """
        super().__init__(registry)
        # Labelled posts whose caption would have counted, but was not encoded: their picture decided.
        self.captions_missing = Counter(
            "placestream_captions_missing", "Posts decided without their caption's vector", registry=registry
        )


class CountMetrics:
    """What `count` measures."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register every metric.

        Args:
            registry: where they are exposed from; the process's own, or a fresh one in tests.
        """
        counter, gauge, _ = _kinds(registry)
        # Labelled posts that are in Redis' counters through this process.
        self.counted = counter("placestream_counted_posts", "Labelled posts counted")
        # Those of them that count under the city _other: too many cities came before theirs.
        self.capped = counter("placestream_capped_posts", "Posts counted under _other")
        # Applications to Redis by result: applied, or refused because the stored offsets differ.
        self.applications = counter("placestream_counter_applications", "Scripts run", ["result"])
        # Records of the labelled topic not yet in Redis, per partition, as `label` shows its own.
        self.lag = gauge("placestream_counter_lag_records", "Labelled records behind", ["partition"])
        # Labelled records that expired before they were counted.
        self.expired = counter("placestream_expired_records", "Records lost to retention unread", ["partition"])
        # Records of the labelled topic that are no labelled post; passed over.
        self.unreadable = counter("placestream_unreadable_records", "Records that are no label")
        # Unix time of the last turn of the loop that counted, or found nothing to do.
        self.last_progress = gauge("placestream_last_progress_timestamp_seconds", "Last progress")
        # 1; which build this is.
        self.build_info = gauge("placestream_build_info", "Version", ["version"])

        for result in ("applied", "refused"):
            self.applications.labels(result)
