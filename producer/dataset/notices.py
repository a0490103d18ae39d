"""What a dataset holds that is not taken as it stands: said once per kind, then how often it came."""

import logging
from collections import Counter
from threading import Lock

log = logging.getLogger(__name__)


class Notices:
    """Kinds and how often each came. May be shared by threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._seen: Counter[str] = Counter()
        self._said: Counter[str] = Counter()

    def add(self, kind: str, first: str) -> None:
        """Count one of a kind; the first one is said, in these words."""
        with self._lock:
            self._seen[kind] += 1
            if self._seen[kind] > 1:
                return
            self._said[kind] = 1
        log.warning("%s", first)

    def say(self) -> None:
        """Say how many there were, of each kind that came again since."""
        with self._lock:
            more = {kind: number for kind, number in self._seen.items() if number > self._said[kind]}
            self._said.update({kind: number - self._said[kind] for kind, number in more.items()})
        for kind, number in more.items():
            log.warning("%d in all: %s", number, kind)
