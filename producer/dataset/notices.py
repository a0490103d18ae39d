"""What a dataset holds that is not taken as it stands: said once per kind, then how often it came."""

import logging
from collections import Counter
from threading import Lock

log = logging.getLogger(__name__)


class Notices:
    """Kinds, and how often each came. A dataset is gone through again and again: no line is said twice.

    May be shared by threads.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._seen: Counter[str] = Counter()
        self._lines: set[str] = set()

    def begin(self) -> None:
        """Count from zero: the dataset is gone through from its beginning."""
        with self._lock:
            self._seen.clear()

    def add(self, kind: str, first: str) -> None:
        """Count one of a kind; the first one is said, in these words."""
        with self._lock:
            self._seen[kind] += 1
            is_first = self._seen[kind] == 1
        if is_first:
            self.say(first)

    def say_numbers(self) -> None:
        """Say how many there were, of each kind that came more than once."""
        with self._lock:
            lines = [f"{number} in all: {kind}" for kind, number in self._seen.items() if number > 1]
        for line in lines:
            self.say(line)

    def say(self, line: str) -> None:
        """Warn, unless these very words were said."""
        with self._lock:
            if line in self._lines:
                return
            self._lines.add(line)
        log.warning("%s", line)
