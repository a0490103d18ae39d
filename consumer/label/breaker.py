"""The breaker: ends the worker when so many posts die that the fault is more likely ours than theirs.

It sees only posts that were labelled and those that died of what may be our fault: who sends junk ends no worker.
"""

from collections import deque
from collections.abc import Iterable

from producer.base.errors import CommandError

WINDOW = 1000
"""Posts that the ratio is taken over, once that many are seen."""


class Breaker:
    """Remembers which of the last posts died. It lives in memory: a restart forgets it."""

    def __init__(self, consecutive: int, ratio: float) -> None:
        """Set the limits.

        Args:
            consecutive: dead letters in a row that are too many.
            ratio: share of the last `WINDOW` posts that must not be exceeded.
        """
        self._consecutive = consecutive
        self._ratio = ratio
        self._recent: deque[bool] = deque(maxlen=max(WINDOW, consecutive))

    def judge(self, dead: Iterable[bool]) -> None:
        """Judge a batch before it is published; it is remembered only by `remember`.

        Args:
            dead: for each post of the batch in order, whether it is a dead letter.

        Raises:
            CommandError: too many; nothing of the batch may be published.
        """
        recent = deque(self._recent, maxlen=self._recent.maxlen)
        run = 0
        for alive in (not is_dead for is_dead in reversed(recent)):
            if alive:
                break
            run += 1
        for is_dead in dead:
            recent.append(is_dead)
            run = run + 1 if is_dead else 0
            if run >= self._consecutive:
                raise CommandError(
                    f"{run} posts in a row failed for what may be our fault (BREAKER_CONSECUTIVE): stopped before "
                    "publishing the last of them; look at the dead-letter topic, then start again"
                )
        window = list(recent)[-WINDOW:]
        if len(window) == WINDOW and sum(window) > self._ratio * WINDOW:
            raise CommandError(
                f"{sum(window)} of the last {WINDOW} posts failed for what may be our fault (BREAKER_RATIO "
                f"{self._ratio:g}): stopped before publishing the last of them; look at the dead-letter topic, then "
                "start again"
            )

    def remember(self, dead: Iterable[bool]) -> None:
        """Remember a batch that has been committed."""
        self._recent.extend(dead)
