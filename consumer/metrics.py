"""Every metric of every role, its meaning and its unit. Names and closed labels are a contract."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from consumer.dead_letter import STAGES

STAGE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
AGE_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

RESYNC_CAUSES = ("start", "rebalance", "publish", "offset", "broker", "stuck")
"""Why a worker went back to what is committed; see `consumer.label.worker`."""


class LabelMetrics:
    """What `label` measures. All closed label combinations start at 0, so that `increase` sees a first event."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register every metric.

        Args:
            registry: where they are exposed from; the process's own, or a fresh one in tests.
        """
        # Posts whose outcome is committed. outcome: classified | not_classified (below the threshold) | dead.
        self.posts = Counter("placestream_posts", "Posts by outcome, committed", ["outcome"], registry=registry)
        # Dead letters committed, by the stage that gave up and the reason.
        self.dead_letters = Counter(
            "placestream_dead_letters", "Dead letters, committed", ["stage", "reason"], registry=registry
        )
        # Seconds a batch spends in a stage; image and text are the two parts of encode.
        self.stage_seconds = Histogram(
            "placestream_stage_seconds", "Seconds per batch", ["stage"], buckets=STAGE_BUCKETS, registry=registry
        )
        # Posts in a batch when it is closed.
        self.batch_posts = Histogram(
            "placestream_batch_posts", "Posts per batch", buckets=BATCH_BUCKETS, registry=registry
        )
        # Why a batch was closed. size: full; deadline: its first post waited BATCH_DEADLINE; ready: nothing more comes.
        self.batch_closed = Counter(
            "placestream_batch_closed", "Batches by what closed them", ["by"], registry=registry
        )
        # What became of captions. done: encoded; skipped: the picture alone was sure; no_caption: there was none.
        self.text_encodings = Counter(
            "placestream_text_encodings", "Captions by what was done", ["outcome"], registry=registry
        )
        # Transactions by result: committed, or given up (refused, timed out, stale).
        self.transactions = Counter("placestream_transactions", "Transactions", ["result"], registry=registry)
        # How often the worker went back to the committed offsets, by cause.
        self.resyncs = Counter("placestream_resyncs", "Returns to committed offsets", ["cause"], registry=registry)
        # Seconds from a post's record timestamp (its entry into Kafka) to the commit of its label.
        self.end_to_end = Histogram(
            "placestream_end_to_end_seconds", "Record timestamp to commit", buckets=AGE_BUCKETS, registry=registry
        )
        # Of each assigned partition, asked of the broker on a timer; not a number when it does not answer for 30 s.
        # Records of the input not yet committed.
        self.lag = Gauge("placestream_consumer_lag_records", "Input records behind", ["partition"], registry=registry)
        # Seconds since the first of them entered Kafka; 0 when there is none.
        self.oldest_waiting = Gauge(
            "placestream_oldest_waiting_seconds", "Age of the first record behind", ["partition"], registry=registry
        )
        # Its offset: the next one to be labelled. Markers and aborted records are passed over by an idle worker.
        self.committed_offset = Gauge(
            "placestream_committed_offset", "Offset of the first record behind", ["partition"], registry=registry
        )
        # Records that expired, or vanished with their topic, before they were read.
        self.expired = Counter(
            "placestream_expired_records", "Records lost to retention unread", ["partition"], registry=registry
        )
        # Partitions this worker has now.
        self.assigned_partitions = Gauge("placestream_assigned_partitions", "Partitions assigned", registry=registry)
        # Assigned partitions with lag that give an idle worker nothing for STUCK_AFTER.
        self.stuck_partitions = Gauge("placestream_stuck_partitions", "Partitions that do not move", registry=registry)
        # Partitions of the input topic.
        self.topic_partitions = Gauge("placestream_topic_partitions", "Partitions of the input", registry=registry)
        # Unix time of the last turn of the loop that published, or found nothing to do.
        self.last_progress = Gauge("placestream_last_progress_timestamp_seconds", "Last progress", registry=registry)
        # 1; which build and which encoder this is.
        self.build_info = Gauge(
            "placestream_build_info", "Version and encoder", ["version", "encoder"], registry=registry
        )
        # 1; which label set is in use.
        self.places_info = Gauge("placestream_places_info", "Label set", ["places"], registry=registry)

        for outcome in ("classified", "not_classified", "dead"):
            self.posts.labels(outcome)
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


class CountMetrics:
    """What `count` measures."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register every metric.

        Args:
            registry: where they are exposed from; the process's own, or a fresh one in tests.
        """
        # Labelled posts that are in Redis' counters through this process.
        self.counted = Counter("placestream_counted_posts", "Labelled posts counted", registry=registry)
        # Those of them that count under the city _other: too many cities came before theirs.
        self.capped = Counter("placestream_capped_posts", "Posts counted under _other", registry=registry)
        # Applications to Redis by result: applied, or refused because the stored offsets differ.
        self.applications = Counter("placestream_counter_applications", "Scripts run", ["result"], registry=registry)
        # Records of the labelled topic not yet in Redis, per partition, as `label` shows its own.
        self.lag = Gauge("placestream_counter_lag_records", "Labelled records behind", ["partition"], registry=registry)
        # Labelled records that expired before they were counted.
        self.expired = Counter(
            "placestream_expired_records", "Records lost to retention unread", ["partition"], registry=registry
        )
        # Records of the labelled topic that are no labelled post; passed over.
        self.unreadable = Counter("placestream_unreadable_records", "Records that are no label", registry=registry)
        # Unix time of the last turn of the loop that counted, or found nothing to do.
        self.last_progress = Gauge("placestream_last_progress_timestamp_seconds", "Last progress", registry=registry)
        # 1; which build this is.
        self.build_info = Gauge("placestream_build_info", "Version", ["version"], registry=registry)

        for result in ("applied", "refused"):
            self.applications.labels(result)
