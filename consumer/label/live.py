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
    """Running totals and, on a terminal, the line that shows them."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.labeled = 0
        self.dead = 0
        self._lag = 0
        self._marks: list[tuple[float, int]] = [(time.monotonic(), 0)]
        console = Console(stderr=True)
        self._line = RichLive(self._text(), console=console, transient=True, refresh_per_second=4)
        self._on = console.is_terminal and sys.stderr.isatty()

    @property
    def batch_level(self) -> int:
        """Level of the log line per batch: with a live line there is no need to read it."""
        return logging.DEBUG if self._on else logging.INFO

    def published(self, labeled: int, dead: int, lag: int) -> None:
        """Take in a committed batch.

        Args:
            labeled: labelled posts of the batch.
            dead: dead letters of the batch.
            lag: records still waiting.
        """
        self.labeled += labeled
        self.dead += dead
        self._lag = lag
        now = time.monotonic()
        self._marks = [mark for mark in self._marks if now - mark[0] < RATE_OVER] or self._marks[-1:]
        self._marks.append((now, self.labeled + self.dead))
        if self._on:
            self._line.update(self._text())

    def __enter__(self) -> Self:
        if self._on:
            self._line.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._on:
            self._line.stop()

    def _text(self) -> Text:
        (first_at, first), (last_at, last) = self._marks[0], self._marks[-1]
        rate = (last - first) / (last_at - first_at) if last_at > first_at else 0.0
        return Text(f"labelled {self.labeled:,}  {rate:,.1f} posts/s  lag {self._lag:,}  dead letters {self.dead:,}")
