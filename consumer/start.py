"""How a role that runs until it is stopped begins: it logs, refuses slow checksums and listens to signals."""

import importlib.util
import logging
import signal
import sys
import threading
from typing import Any

from producer.base.command import end_at_once
from producer.base.errors import CommandError
from producer.base.logs import LogSettings, event, setup

log = logging.getLogger(__name__)


def begin(settings: LogSettings) -> None:
    """Set up the log, log the settings (secrets masked), and listen to signals; `stop_on_signals` follows later.

    Raises:
        CommandError: see `check_checksum`.
    """
    setup(settings)
    check_checksum()
    event(log, logging.INFO, "settings", **settings.model_dump(mode="json"))
    end_on_signals()


def check_checksum() -> None:
    """Refuse to work without the C checksum (consumer/kafka/README.md, fact 1).

    Raises:
        CommandError: the package crc32c is not there.
    """
    if importlib.util.find_spec("crc32c") is None:
        raise CommandError("the package crc32c is missing; `pip install 'kafka-python[crc32c]'` brings it")


def end_on_signals() -> None:
    """Before the loop nothing is in flight: SIGTERM and SIGINT end the process at once, with exit code 0."""

    def on_signal(number: int, frame: Any) -> None:
        event(log, logging.INFO, "stopped before it began")
        sys.exit(0)

    _on_signals(on_signal)


def stop_on_signals(stop: threading.Event) -> None:
    """From now on SIGTERM and SIGINT set this event; a second signal ends the process at once."""

    def on_signal(number: int, frame: Any) -> None:
        stop.set()
        _on_signals(end_at_once)

    _on_signals(on_signal)


def _on_signals(handler: Any) -> None:
    signal.signal(signal.SIGTERM, handler)
    signal.signal(signal.SIGINT, handler)
