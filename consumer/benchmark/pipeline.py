"""The pipeline as it is in production, in this process: the worker of `label`, with a clock at both ends."""

import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from consumer.benchmark.memory import Watched, watching
from consumer.classify.classifier import Classifier
from consumer.dead_letter import STAGES
from consumer.health import Health
from consumer.label.assemble import assemble
from consumer.label.batch import Batch, Working
from consumer.label.encode import PictureLabeler
from consumer.label.live import Live
from consumer.label.preflight import check_topics
from consumer.label.publish import Outgoing, Sink
from consumer.label.read import Source
from consumer.label.settings import LabelSettings
from consumer.metrics import LabelMetrics


@dataclass(slots=True)
class Run:
    """What one run of the worker took.

    Attributes:
        posts: committed.
        began: when the first poll that gave a batch began, on the system-wide monotonic clock.
        ended: when the last commit ended.
        stages: seconds per post in each stage, which overlap, so that their sum is more than a post takes; `cpu` is the
            CPU time of the process for a post, in seconds.
        captions: what became of them: done, skipped, no_caption.
        ages: seconds from each post's entry into Kafka to its commit.
        memory: resident memory over the run.
    """

    posts: int = 0
    began: float = 0.0
    ended: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    captions: dict[str, int] = field(default_factory=dict)
    ages: list[float] = field(default_factory=list)
    memory: Watched = field(default_factory=Watched)

    @property
    def per_second(self) -> float:
        """Posts per second."""
        return self.posts / (self.ended - self.began)


class Stopwatch:
    """Seconds per stage, as a classifier reports them: its `observe`."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def __call__(self, stage: str, seconds: float) -> None:
        """Add what a batch took."""
        self.seconds[stage] += seconds


def label(
    settings: LabelSettings,
    classifier: Classifier,
    stopwatch: Stopwatch,
    result: Run | None = None,
    stop: threading.Event | None = None,
) -> Run:
    """Label the input topic from the committed offsets to its end, with the worker of `label`.

    Args:
        settings: of the worker; with `stop_at_end` it ends by itself.
        classifier: already loaded.
        stopwatch: the classifier's `observe`.
        result: is filled while it runs, for whoever looks on.
        stop: ends it earlier.
    """
    run, stop = result or Run(), stop or threading.Event()
    stopwatch.seconds.clear()
    cpu = time.process_time()

    class TimedSource(Source):
        def next_batch(self, oldest: Working | None, most: int) -> Batch | None:
            asked = time.monotonic()
            batch = super().next_batch(oldest, most)
            if batch and not run.began:
                run.began = asked
            return batch

    class TimedSink(Sink):
        def publish(self, batch: Batch, records: Sequence[Outgoing]) -> None:
            super().publish(batch, records)
            now, run.ended = time.time(), time.monotonic()
            run.ages += [now - record.timestamp / 1000 for record in batch.records]
            run.posts += len(batch.records)

    registry = CollectorRegistry()
    metrics = LabelMetrics(registry)
    labeler = PictureLabeler(classifier, settings.decode_threads, metrics, settings.vectors_topic is not None)
    parts = settings, labeler, check_topics(settings), metrics, Health(3600), Live(), stop
    with assemble(*parts, source_type=TimedSource, sink_type=TimedSink) as worker, watching(run.memory):
        worker.run()

    def measured(name: str, **labels: str) -> float:
        return registry.get_sample_value(f"placestream_{name}", labels) or 0.0

    taken = {stage: measured("stage_seconds_sum", stage=stage) for stage in STAGES} | stopwatch.seconds
    taken["cpu"] = time.process_time() - cpu
    run.stages = {stage: seconds / max(1, run.posts) for stage, seconds in taken.items()}
    run.captions = {
        outcome: int(measured("text_encodings_total", outcome=outcome)) for outcome in ("done", "skipped", "no_caption")
    }
    return run
