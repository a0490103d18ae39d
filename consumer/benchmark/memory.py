"""Resident memory of this process over time."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil
from scipy.stats import linregress

EVERY = 0.25
"""Seconds between two looks."""
WARM_UP = 0.25
"""Share of the run that says nothing: pools and buffers fill."""


@dataclass(slots=True)
class Watched:
    """Seconds since the start, and resident MiB."""

    seconds: list[float] = field(default_factory=list)
    mib: list[float] = field(default_factory=list)

    @property
    def last(self) -> float:
        """MiB at the end."""
        return self.mib[-1] if self.mib else 0.0

    def growth(self) -> tuple[float, float]:
        """MiB gained over the run after its warm-up by least squares, and the standard error of that."""
        first = int(len(self.mib) * WARM_UP)
        seconds, mib = self.seconds[first:], self.mib[first:]
        if len(mib) < 3:
            return 0.0, float("inf")
        line = linregress(seconds, mib)
        return line.slope * (seconds[-1] - seconds[0]), line.stderr * (seconds[-1] - seconds[0])


@contextmanager
def watching(watched: Watched) -> Iterator[None]:
    """Look at this process's memory until the end of the block."""
    done, process, began = threading.Event(), psutil.Process(), time.monotonic()

    def watch() -> None:
        while not done.wait(EVERY):
            watched.seconds.append(time.monotonic() - began)
            watched.mib.append(process.memory_info().rss / 2**20)

    thread = threading.Thread(target=watch, name="memory", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
