"""The command `label`: settings, checks, then the worker until it is stopped."""

import atexit
import gc
import logging
import os
import sys
import threading

from prometheus_client import REGISTRY

from consumer import __version__
from consumer.classify.factory import build_classifier
from consumer.classify.pictures.pool import decoders
from consumer.health import Health, serve
from consumer.label.assemble import assemble
from consumer.label.live import Live
from consumer.label.preflight import check_replica, check_topics
from consumer.label.settings import LabelSettings
from consumer.metrics import LabelMetrics
from consumer.start import begin, stop_on_signals
from producer.base.errors import CommandError
from producer.base.logs import event
from producer.base.settings import load

log = logging.getLogger(__name__)


def main(argv: list[str]) -> int:
    """Run `label`.

    Args:
        argv: flags of `LabelSettings`.

    Returns:
        0 when stopped, or at the end with --stop-at-end.

    Raises:
        CommandError: one line that says what is wrong.
    """
    settings = load(LabelSettings, "python -m consumer label", argv)
    begin(settings)
    metrics = LabelMetrics(REGISTRY)
    health = Health(settings.publish_limit + settings.max_poll_interval)
    serve(settings.metrics_host, settings.metrics_port, REGISTRY, health)
    topics = check_topics(settings)
    check_replica(settings)
    metrics.topic_partitions.set(topics.partitions)
    pool = decoders(settings.limits())
    pool.on_cut = metrics.cut_pictures.inc
    pool.start(settings.decode_threads)  # while the model loads
    classifier = build_classifier(settings, lambda stage, seconds: metrics.stage_seconds.labels(stage).observe(seconds))
    classifier = classifier.with_captions(settings.encode_captions)
    metrics.build_info.labels(__version__, classifier.encoder_name).set(1)
    metrics.places_info.labels(classifier.places_stamp).set(1)
    event(log, logging.INFO, "model loaded", encoder=classifier.encoder_name, places=classifier.places_stamp)

    # What imports and model made stays for good. Were it counted, Python would collect its oldest generation only after
    # garbage of a quarter of that, some 30 MiB, and look through all of it each time.
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # else libraries in C++ print at the end what of theirs is still there

    stop, live = threading.Event(), Live()
    failure: CommandError | None = None
    with assemble(settings, classifier, topics, metrics, health, live, stop) as worker, live:
        stop_on_signals(stop)
        try:
            worker.run()
        except CommandError as error:
            if not worker.is_busy:
                raise
            failure = error
    for (reason, kind), posts in worker.died.most_common():
        event(log, logging.WARNING, "dead letters in all", reason=reason, posts=posts, why=kind or "different messages")
    event(log, logging.INFO, "ended", labeled=worker.labeled, dead=worker.dead)
    if failure:
        print(f"python -m consumer label: {failure}", file=sys.stderr)
    if failure or worker.is_busy:  # its batch comes again: nobody waits for it, and it may hang
        sys.stderr.flush()
        os._exit(failure.exit_code if failure else 0)
    return 0
