"""How a role that runs until it is stopped begins: it logs, refuses slow checksums and listens to signals."""

import importlib.util
import logging
import os
import signal
import sys
import threading
from difflib import get_close_matches
from typing import Any

from producer.base.command import end_at_once
from producer.base.errors import CommandError
from producer.base.logs import LogSettings, event, setup
from producer.base.settings import PREFIX, name_of

log = logging.getLogger(__name__)


def begin(settings: LogSettings) -> None:
    """Set up the log, log the settings (secrets masked), and listen to signals; `stop_on_signals` follows later.

    Raises:
        CommandError: see `check_checksum`.
    """
    setup(settings)
    check_checksum()
    event(log, logging.INFO, "settings", **settings.model_dump(mode="json", by_alias=True))
    _name_mistyped_variables(settings)
    end_on_signals()


def _name_mistyped_variables(settings: LogSettings) -> None:
    """Variables of other commands may well be set; one that is almost a setting of this command is surely mistyped."""
    known = {name_of(type(settings), field) for field in type(settings).model_fields}
    given = {name.removeprefix(PREFIX) for name in os.environ if name.startswith(PREFIX)}
    for name in sorted(given - known):
        if close := get_close_matches(name, known, n=1, cutoff=0.85):
            event(log, logging.WARNING, f"{PREFIX}{name} is no setting; is {PREFIX}{close[0]} meant?")


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
