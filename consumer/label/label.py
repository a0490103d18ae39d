"""The command `label`: settings, checks, then the worker until it is stopped."""

import logging

from prometheus_client import REGISTRY

from consumer import __version__
from consumer.classify.factory import build_classifier
from consumer.classify.pictures.pool import decoders
from consumer.health import Health, serve
from consumer.label.encode import PictureLabeler
from consumer.label.preflight import check_replica, check_topics
from consumer.label.run import run
from consumer.label.settings import LabelSettings
from consumer.metrics import LabelMetrics
from consumer.start import begin
from producer.base.logs import event
from producer.base.settings import load

log = logging.getLogger(__name__)
COMMAND = "python -m consumer label"


def main(argv: list[str]) -> int:
    """Run `label`.

    Args:
        argv: flags of `LabelSettings`.

    Returns:
        0 when stopped, or at the end with --stop-at-end.

    Raises:
        CommandError: one line that says what is wrong.
    """
    settings = load(LabelSettings, COMMAND, argv)
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
    labeler = PictureLabeler(classifier, settings.decode_threads, metrics, settings.vectors_topic is not None)
    run(COMMAND, settings, labeler, topics, metrics, health)
    return 0
