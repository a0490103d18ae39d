"""Names of cities that differ in spelling alone: said, for they count as two cities."""

import logging

from producer.post import other_spelling

log = logging.getLogger(__name__)

MOST = 10_000
"""Cities that are kept in mind: a dataset has some, not one a post."""


class Spellings:
    """The names that were seen."""

    def __init__(self) -> None:
        self._names: dict[str, set[str]] = {}
        self._number = 0

    def add(self, city: str) -> None:
        """Warn when a city of another spelling was seen before; once for each."""
        seen = self._names.setdefault(other_spelling(city), set()) if self._number < MOST else {city}
        if city in seen:
            return
        if seen:
            log.warning(
                "two spellings of one city, counted as two: %s, %s; rename one if they are the same", min(seen), city
            )
        seen.add(city)
        self._number += 1
