"""How a role that runs until it is stopped begins: it refuses slow checksums and listens to signals."""

import importlib.util
import signal
import threading
from typing import Any

from producer.errors import CommandError


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
