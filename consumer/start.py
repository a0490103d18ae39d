"""How a role that runs until it is stopped begins: it logs, refuses slow checksums and listens to signals."""

import importlib.util
import logging
import signal
import threading
from typing import Any

from producer.errors import CommandError
from producer.logs import LogSettings, event, setup

log = logging.getLogger(__name__)


def begin(settings: LogSettings) -> threading.Event:
    """Set up the log, log the settings (secrets masked), and listen to signals.

    Returns:
        An event that SIGTERM and SIGINT set; a second signal ends the process at once.

    Raises:
        CommandError: see `check_checksum`.
    """
    setup(settings)
    check_checksum()
    event(log, logging.INFO, "settings", **settings.model_dump(mode="json"))
    return stop_on_signals()


def check_checksum() -> None:
    """Refuse to work without the C checksum: with kafka-python's own a process does about 250 pictures a second.

    Raises:
        CommandError: the package crc32c is not there.
    """
    if importlib.util.find_spec("crc32c") is None:
        raise CommandError("the package crc32c is missing; `pip install 'kafka-python[crc32c]'` brings it")


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set; a second signal ends the process at once."""
    stop = threading.Event()

    def on_signal(number: int, frame: Any) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return stop
