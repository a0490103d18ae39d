"""The command `label`: settings, checks, then the worker until it is stopped."""

import atexit
import gc
import logging
import os
import sys
import threading
from collections.abc import Callable

from prometheus_client import REGISTRY

from consumer import __version__
from consumer.classify.classifier import Classifier
from consumer.classify.compute.openmp import release_threads
from consumer.classify.factory import build_classifier
from consumer.classify.pictures.pool import decoders
from consumer.health import Health, serve
from consumer.kafka.transactions import PUBLISH_LIMIT
from consumer.kafka.watchdog import Watchdog
from consumer.label.encode import Inference
from consumer.label.live import Live
from consumer.label.preflight import check_replica, check_topics
from consumer.label.publish import Sink
from consumer.label.read import Source
from consumer.label.settings import LabelSettings
from consumer.label.worker import Worker
from consumer.metrics import LabelMetrics
from consumer.start import begin, stop_on_signals
from producer.base.errors import CommandError
from producer.base.logs import event
from producer.base.settings import load

log = logging.getLogger(__name__)


Build = Callable[[LabelSettings, Callable[[str, float], None]], Classifier]
"""Loads the model; given the settings, and what is told the seconds of the stages `image` and `text`."""


def main(
    argv: list[str],
    build: Build = build_classifier,
    source_type: type[Source] = Source,
    inference_type: type[Inference] = Inference,
    sink_type: type[Sink] = Sink,
) -> int:
    """Run `label`.

    Args:
        argv: flags of `LabelSettings`.
        build: loads the model.
        source_type: reads; these three are for tests, which put faults into a stage.
        inference_type: decodes and encodes.
        sink_type: publishes.

    Returns:
        0 when stopped, or at the end with --stop-at-end.

    Raises:
        CommandError: one line that says what is wrong.
    """
    settings = load(LabelSettings, "python -m consumer label", argv)
    begin(settings)
    metrics = LabelMetrics(REGISTRY)
    health = Health(PUBLISH_LIMIT + settings.max_poll_interval)
    serve(settings.metrics_host, settings.metrics_port, REGISTRY, health)
    topics = check_topics(settings)
    check_replica(settings)
    metrics.topic_partitions.set(topics.partitions)
    decoders(settings.limits()).start(settings.decode_threads)  # while the model loads
    classifier = build(settings, lambda stage, seconds: metrics.stage_seconds.labels(stage).observe(seconds))
    release_threads()  # from here on the model thread computes
    metrics.build_info.labels(__version__, classifier.encoder_name).set(1)
    metrics.places_info.labels(classifier.places_stamp).set(1)
    event(log, logging.INFO, "model loaded", encoder=classifier.encoder_name, places=classifier.places_stamp)

    # What imports and model made stays for good. Were it counted, Python would collect its oldest generation only after
    # garbage of a quarter of that, some 30 MiB, and look through all of it each time.
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # else libraries in C++ print at the end what of theirs is still there

    stop = threading.Event()
    watchdog = Watchdog()
    sink = sink_type(settings, topics)
    source = source_type(settings, metrics, watchdog, stop, topics.input_limit)
    inference = inference_type(classifier, settings.decode_threads, metrics)
    failure: CommandError | None = None
    with Live() as live:
        try:
            worker = Worker(settings, classifier, source, sink, inference, metrics, health, live, watchdog, stop)
            stop_on_signals(stop)
            worker.run()
        except CommandError as error:
            if not inference.is_busy:
                raise
            failure = error
        finally:
            inference.close()
            sink.close()
            source.close()
    event(log, logging.INFO, "ended", labeled=live.labeled, dead=live.dead)
    if failure:
        print(f"python -m consumer label: {failure}", file=sys.stderr)
    if failure or inference.is_busy:  # its batch comes again: nobody waits for it, and it may hang
        sys.stderr.flush()
        os._exit(failure.exit_code if failure else 0)
    return 0
