"""The one place where a worker is put together: for `label`, for the benchmark, and for tests with faulty stages."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from consumer.classify.classifier import Classifier
from consumer.classify.compute.openmp import release_threads
from consumer.health import Health
from consumer.kafka.watchdog import Watchdog
from consumer.label.encode import Inference
from consumer.label.live import Live
from consumer.label.preflight import Topics
from consumer.label.publish import Sink
from consumer.label.read import Source
from consumer.label.settings import LabelSettings
from consumer.label.worker import Worker
from consumer.metrics import LabelMetrics


@contextmanager
def assemble(
    settings: LabelSettings,
    classifier: Classifier,
    topics: Topics,
    metrics: LabelMetrics,
    health: Health,
    live: Live,
    stop: threading.Event,
    *,
    source_type: type[Source] = Source,
    inference_type: type[Inference] = Inference,
    sink_type: type[Sink] = Sink,
) -> Iterator[Worker]:
    """A worker whose stages are connected; they are closed at the end.

    Args:
        settings: the worker's settings.
        classifier: already loaded; from here on only the model thread computes with it.
        topics: what is known of the topics.
        metrics: where everything is counted.
        health: is told of every turn of the loop.
        live: the line on a terminal.
        stop: ends the worker.
        source_type: stage read; another one times or disturbs it.
        inference_type: stages decode and encode, likewise.
        sink_type: stage publish, likewise.

    Raises:
        CommandError: the broker cannot be reached.
    """
    release_threads()
    watchdog = Watchdog()
    sink = sink_type(settings, topics)
    source = source_type(settings, metrics, watchdog, stop, topics.input_limit)
    inference = inference_type(classifier, settings.decode_threads, metrics)
    try:
        yield Worker(settings, classifier, source, sink, inference, metrics, health, live, watchdog, stop)
    finally:
        inference.close()
        sink.close()
        source.close()
