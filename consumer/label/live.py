"""The live line of `label` on a terminal: posts, posts/s, lag, dead letters. Elsewhere the log says it per batch."""

import logging
import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live as RichLive
from rich.text import Text

RATE_OVER = 5.0
"""Seconds that posts/s is taken over."""


class Live:
    """On a terminal, the line of a worker's totals."""

    def __init__(self) -> None:
        """Begin at zero."""
        self._marks: list[tuple[float, int]] = [(time.monotonic(), 0)]
        console = Console(stderr=True)
        self._line = RichLive(_text(0, 0, 0, 0.0), console=console, transient=True, refresh_per_second=4)
        self._on = console.is_terminal and sys.stderr.isatty()

    @property
    def batch_level(self) -> int:
        """Level of the log line per batch: with a live line there is no need to read it."""
        return logging.DEBUG if self._on else logging.INFO

    def show(self, labeled: int, dead: int, lag: int) -> None:
        """Show the totals after a committed batch.

        Args:
            labeled: labelled posts so far.
            dead: dead letters so far.
            lag: records still waiting.
        """
        now = time.monotonic()
        self._marks = [mark for mark in self._marks if now - mark[0] < RATE_OVER] or self._marks[-1:]
        self._marks.append((now, labeled + dead))
        (first_at, first), (last_at, last) = self._marks[0], self._marks[-1]
        rate = (last - first) / (last_at - first_at) if last_at > first_at else 0.0
        if self._on:
            self._line.update(_text(labeled, dead, lag, rate))

    def __enter__(self) -> Self:
        if self._on:
            self._line.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._on:
            self._line.stop()


def _text(labeled: int, dead: int, lag: int, rate: float) -> Text:
    return Text(f"labelled {labeled:,}  {rate:,.1f} posts/s  lag {lag:,}  dead letters {dead:,}")
