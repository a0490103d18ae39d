"""The breaker: ends the worker when so many posts die that the fault is more likely ours than theirs.

It sees only posts that were labelled and those that died of what may be our fault: who sends junk ends no worker.
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence

from consumer.dead_letter import DeadLetter
from producer.base.errors import CommandError

WINDOW = 1000
"""Posts that the ratio is taken over, once that many are seen."""

LONGEST_MESSAGE = 200
"""Characters of a dead letter's message in the breaker's line."""


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
        self._recent: deque[DeadLetter | None] = deque(maxlen=max(WINDOW, consecutive))

    def judge(self, outcomes: Iterable[DeadLetter | None]) -> None:
        """Judge a batch before it is published; it is remembered only by `remember`.

        Args:
            outcomes: the dead letter of each post of the batch in order; None of one that lives.

        Raises:
            CommandError: too many; nothing of the batch may be published.
        """
        recent = deque(self._recent, maxlen=self._recent.maxlen)
        run = 0
        for each in reversed(recent):
            if each is None:
                break
            run += 1
        for each in outcomes:
            recent.append(each)
            run = run + 1 if each else 0
            if run >= self._consecutive:
                dead = _dead(list(recent)[-run:])
                raise CommandError(_line(f"{run} posts in a row", "BREAKER_CONSECUTIVE", dead))
        dead = _dead(list(recent)[-WINDOW:])
        if len(recent) >= WINDOW and len(dead) > self._ratio * WINDOW:
            many = f"{len(dead)} of the last {WINDOW} posts"
            raise CommandError(_line(many, f"BREAKER_RATIO {self._ratio:g}", dead))

    def remember(self, outcomes: Iterable[DeadLetter | None]) -> None:
        """Remember a batch that has been committed."""
        self._recent.extend(outcomes)


def _dead(outcomes: Iterable[DeadLetter | None]) -> list[DeadLetter]:
    return [each for each in outcomes if each]


def _line(many: str, setting: str, dead: Sequence[DeadLetter]) -> str:
    """What ends the worker, and what its posts died of: each reason, how often, and the last one's message."""
    last = {letter.reason: " ".join(letter.message.split())[:LONGEST_MESSAGE] for letter in dead}
    numbers = Counter(letter.reason for letter in dead)
    of = ", ".join(f"{number} {reason} ({last[reason]})" for reason, number in numbers.most_common())
    return (
        f"{many} failed for what may be our fault ({setting}), of {of}: stopped before publishing the last of them; "
        "look at the dead-letter topic, then start again"
    )
