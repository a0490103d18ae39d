"""The watchdog: ends the process when a publish hangs (consumer/kafka/README.md, fact 11)."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator


class Watchdog:
    """A thread that ends the process with exit code 1 when a guarded block outlives its limit."""

    def __init__(self, check_every: float = 1.0) -> None:
        """Start watching.

        Args:
            check_every: seconds between two looks.
        """
        self._check_every = check_every
        self._guarded: tuple[float, str] | None = None  # deadline (monotonic seconds), what is done
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    @contextlib.contextmanager
    def limit(self, seconds: float, doing: str) -> Iterator[None]:
        """Guard a block.

        Args:
            seconds: how long it may take.
            doing: what it does, for the last line.
        """
        self._guarded = (time.monotonic() + seconds, f"{doing} for more than {seconds:g} s")
        try:
            yield
        finally:
            self._guarded = None

    def _watch(self) -> None:
        while True:
            time.sleep(self._check_every)
            guarded = self._guarded
            if guarded is not None and time.monotonic() > guarded[0]:
                line = f"ended by the watchdog: {guarded[1]}; a restart goes on from the committed offsets"
                print(line, file=sys.stderr, flush=True)
                os._exit(1)
