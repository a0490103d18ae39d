"""How far a long command is: a bar with an estimate on a terminal, else a line now and then."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

EVERY = 10.0
"""Seconds between two lines where there is no terminal."""


@contextmanager
def progress(what: str, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
    """What to call with the number of further posts that are done.

    Args:
        what: is counted.
        total: how many there are.
        done: how many were before; the estimate is of the rest.
    """
    if not sys.stderr.isatty():
        yield _lines(what, total, done)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total, completed=done)
        yield lambda further: bar.advance(task, further)


def _lines(what: str, total: int, done: int) -> Callable[[int], None]:
    started = last = time.monotonic()
    begun_at = done

    def advance(further: int) -> None:
        nonlocal last, done
        done += further
        now = time.monotonic()
        if now - last >= EVERY:
            last = now
            rest = (total - done) * (now - started) / (done - begun_at)
            print(f"{what}: {done} of {total}, about {rest / 60:.0f} min left", file=sys.stderr, flush=True)

    return advance
