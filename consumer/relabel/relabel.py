"""The command `relabel`: settings, checks, then the worker of `label` on the vectors topic."""

import logging
from contextlib import closing

from prometheus_client import REGISTRY

from consumer import __version__
from consumer.classify.factory import build_head
from consumer.health import Health, serve
from consumer.label.preflight import check_replica, check_topics
from consumer.label.run import run
from consumer.metrics import RelabelMetrics
from consumer.relabel.labeler import VectorLabeler
from consumer.relabel.process import Process
from consumer.relabel.read import Range
from consumer.relabel.settings import RelabelSettings
from consumer.relabel.topics import check_owner, create_missing, group_of
from consumer.start import begin
from producer.base.logs import event
from producer.base.settings import load

log = logging.getLogger(__name__)
COMMAND = "python -m consumer relabel"


def main(argv: list[str]) -> int:
    """Run `relabel`.

    Args:
        argv: flags of `RelabelSettings`.

    Returns:
        0 when stopped, or at the end with --stop-at-end.

    Raises:
        CommandError: one line that says what is wrong.
    """
    settings = load(RelabelSettings, COMMAND, argv)
    begin(settings)
    metrics = RelabelMetrics(REGISTRY)
    health = Health(settings.publish_limit + settings.max_poll_interval)
    serve(settings.metrics_host, settings.metrics_port, REGISTRY, health)
    create_missing(settings)
    topics = check_topics(settings)
    metrics.topic_partitions.set(topics.partitions)
    head = build_head(settings)
    settings = settings.model_copy(update={"group_id": group_of(settings, head)})
    check_owner(settings)
    check_replica(settings)
    metrics.build_info.labels(__version__, head.identity).set(1)
    metrics.places_info.labels(head.places_stamp).set(1)
    event(
        log,
        logging.INFO,
        "head built",
        encoder=head.identity,
        places=head.places_stamp,
        decision=head.head.decision,
        group=settings.group_id,
    )
    with closing(Process(head)) as process:
        run(COMMAND, settings, VectorLabeler(process.decide, metrics), topics, metrics, health, source_type=Range)
    if missing := int(REGISTRY.get_sample_value("placestream_captions_missing_total") or 0):
        event(
            log,
            logging.WARNING,
            "captions would have counted, but were not encoded: the pictures decided (ENCODE_CAPTIONS=all keeps them)",
            posts=missing,
        )
    return 0
