"""How a worker runs as a program: what is fixed is left to no collector, signals stop it, and it ends as it should."""

import atexit
import gc
import logging
import os
import sys
import threading
from typing import Any

from consumer.health import Health
from consumer.label.assemble import assemble
from consumer.label.encode import Labeler
from consumer.label.live import Live
from consumer.label.preflight import Topics
from consumer.label.settings import WorkerSettings
from consumer.metrics import LabelMetrics
from consumer.start import stop_on_signals
from producer.base.errors import CommandError
from producer.base.logs import event

log = logging.getLogger(__name__)


def run(
    command: str,
    settings: WorkerSettings,
    labeler: Labeler[Any],
    topics: Topics,
    metrics: LabelMetrics,
    health: Health,
    **stages: Any,
) -> None:
    """Run a worker until it is stopped or, with --stop-at-end, until nothing is left.

    Args:
        command: as the user types it, for the last line.
        settings: the worker's settings.
        labeler: what stages decode and encode do.
        topics: what is known of the topics.
        metrics: where everything is counted.
        health: is told of every turn of the loop.
        stages: of `assemble`.

    Raises:
        CommandError: one line that says what is wrong.
    """
    # What imports and model made stays for good. Were it counted, Python would collect its oldest generation only after
    # garbage of a quarter of that, some 30 MiB, and look through all of it each time.
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # else libraries in C++ print at the end what of theirs is still there

    stop, live = threading.Event(), Live()
    failure: CommandError | None = None
    with assemble(settings, labeler, topics, metrics, health, live, stop, **stages) as worker, live:
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
        print(f"{command}: {failure}", file=sys.stderr)
    if failure or worker.is_busy:  # its batch comes again: nobody waits for it, and it may hang
        sys.stderr.flush()
        os._exit(failure.exit_code if failure else 0)
