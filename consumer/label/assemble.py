"""The one place where a worker is put together: for `label`, `relabel`, the benchmark, and tests with faulty stages."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from consumer.classify.compute.openmp import release_threads
from consumer.health import Health
from consumer.kafka.watchdog import Watchdog
from consumer.label.encode import Inference, Labeler
from consumer.label.live import Live
from consumer.label.preflight import Topics
from consumer.label.publish import Sink
from consumer.label.read import Source
from consumer.label.settings import WorkerSettings
from consumer.label.worker import Worker
from consumer.metrics import LabelMetrics


@contextmanager
def assemble(
    settings: WorkerSettings,
    labeler: Labeler[Any],
    topics: Topics,
    metrics: LabelMetrics,
    health: Health,
    live: Live,
    stop: threading.Event,
    *,
    source_type: type[Source] = Source,
    inference_type: type[Inference[Any]] = Inference,
    sink_type: type[Sink] = Sink,
) -> Iterator[Worker]:
    """A worker whose stages are connected; they are closed at the end.

    Args:
        settings: the worker's settings.
        labeler: what stages decode and encode do.
        topics: what is known of the topics.
        metrics: where everything is counted.
        health: is told of every turn of the loop.
        live: the line on a terminal.
        stop: ends the worker.
        source_type: stage read; another one times or disturbs it, or reads less.
        inference_type: stages decode and encode; another one disturbs them.
        sink_type: stage publish; another one times or disturbs it.

    Raises:
        CommandError: the broker cannot be reached.
    """
    release_threads()
    watchdog = Watchdog()
    sink = sink_type(settings, topics)
    source = source_type(settings, metrics, watchdog, stop, topics.input_limit)
    inference = inference_type(labeler, metrics)
    try:
        yield Worker(settings, source, sink, inference, metrics, health, live, watchdog, stop)
    finally:
        inference.close()
        sink.close()
        source.close()
