"""The live line of `label` on a terminal: posts, posts/s, lag, dead letters. Elsewhere the log says it per batch."""

import sys

from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task
from rich.text import Text

RATE_OVER = 5.0
"""Seconds that posts/s is taken over."""


class Live(Progress):
    """The line of a worker's totals, inside its block; `disable` says that this is no terminal."""

    def __init__(self) -> None:
        """Begin at zero."""
        console = Console(stderr=True)
        is_off = not (console.is_terminal and sys.stderr.isatty())
        super().__init__(
            _Totals(),
            console=console,
            refresh_per_second=4,
            speed_estimate_period=RATE_OVER,
            transient=True,
            disable=is_off,
        )
        self._posts = self.add_task("", total=None, labeled=0, dead=0, lag=0)

    def show(self, labeled: int, dead: int, lag: int) -> None:
        """Show the totals after a committed batch.

        Args:
            labeled: labelled posts so far.
            dead: dead letters so far.
            lag: records still waiting.
        """
        self.update(self._posts, completed=labeled + dead, labeled=labeled, dead=dead, lag=lag)


class _Totals(ProgressColumn):
    def render(self, task: Task) -> Text:
        totals = task.fields
        return Text(
            f"labelled {totals['labeled']:,}  {task.speed or 0.0:,.1f} posts/s  lag {totals['lag']:,}  "
            f"dead letters {totals['dead']:,}"
        )
