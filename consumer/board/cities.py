"""The figures of the Cities page, from Redis through the module that `popularity` uses; asked for every few seconds."""

import math
import threading
import time
from dataclasses import dataclass, field

from redis.cluster import RedisCluster
from redis.exceptions import MovedError

from consumer.board.settings import BoardSettings
from consumer.count.connect import RedisFailure
from consumer.count.figures import CityFigures, by_posts, city_figures, total, week
from consumer.count.snapshot import Counters
from producer.base.errors import CommandError

FRESH = 2.0
"""Seconds for which figures serve every browser."""
REST = 10
"""At least so many times as long as reading them took: reading is never what Redis and the board mostly do."""
PAGE = 100
"""Most cities that a page names."""
STEPS = 6
"""Steps of the heat map's colour."""
MOODS = (-0.5, -0.2, -0.05, 0.05, 0.2, 0.5)
"""Bounds of the sentiment's colours; ±0.05 are VADER's own for neutral."""


@dataclass(frozen=True, slots=True)
class Page:
    """The cities that a page names.

    Attributes:
        names: by name.
        number: of the page; 1 has the cities with the most posts.
        pages: how many there are.
    """

    names: list[str]
    number: int
    pages: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What is counted.

    Attributes:
        counters: as they were read; None when they could not be.
        everywhere: place -> posts of all cities.
        pages: the names of the cities, `PAGE` on each, those with the most posts first.
        trouble: why there are none, as a sentence.
    """

    counters: Counters | None = None
    everywhere: dict[str, int] = field(default_factory=dict)
    pages: list[list[str]] = field(default_factory=list)
    trouble: str | None = None

    @classmethod
    def of(cls, counters: Counters) -> "Figures":
        """What there is to show of counters."""
        cities = by_posts(counters)
        pages = [sorted(cities[begin : begin + PAGE]) for begin in range(0, len(cities), PAGE)]
        return cls(counters, total(counters), pages)

    def page(self, city: str | None, number: int) -> Page:
        """The page that names a city; the one of this number, or the last one, when no city of this name is counted."""
        found = next((index for index, names in enumerate(self.pages) if city in names), None)
        index = min(max(1, number), len(self.pages)) - 1 if found is None else found
        return Page(self.pages[index] if self.pages else [], index + 1, len(self.pages))

    def city(self, name: str) -> CityFigures | None:
        """One city's figures."""
        if self.counters is None or name not in self.counters.posts:
            return None
        return city_figures(self.counters, name, self.everywhere)

    def week(self, city: str) -> list[list[int]] | None:
        """Posts per weekday (0 = Monday) and hour, local time; None when no post's local time is known."""
        fields = self.counters.hours.get(city) if self.counters else None
        return week(fields) if fields else None


class Cities:
    """Reads the counters, for however many browsers, at most every `FRESH` seconds."""

    def __init__(self, settings: BoardSettings) -> None:
        """Prepare; nothing is connected yet."""
        self._settings = settings
        self._client = settings.redis_client()
        self._lock = threading.Lock()
        self._figures = Figures()
        self._read_again_at = -math.inf

    def figures(self) -> Figures:
        """The figures, or what is in their way. Blocks; it never raises for a Redis that is away."""
        with self._lock:
            if (begin := time.monotonic()) > self._read_again_at:
                self._figures = self._read()
                end = time.monotonic()
                self._read_again_at = end + max(FRESH, REST * (end - begin))
            return self._figures

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _read(self) -> Figures:
        where = self._settings.redis_address
        try:
            counters = self._counters()
        except RedisFailure:
            return Figures(trouble=f"No Redis answers at {where}. This page keeps trying.")
        except CommandError as error:
            return Figures(trouble=f"The counters cannot be read: {error}.")
        if not counters.posts:
            return Figures(trouble=f"Nothing is counted yet at {where}: “python -m consumer count” counts.")
        return Figures.of(counters)

    def _counters(self) -> Counters:
        prefix = self._settings.counter_prefix
        try:
            return Counters.read(self._client, prefix, patience=FRESH)
        except MovedError:  # it is one node of a cluster
            self._client = self._settings.redis_client(RedisCluster)
            return Counters.read(self._client, prefix, patience=FRESH)


def step(posts: int, most: int) -> int:
    """The step of the heat map's colour: 0 for no posts, `STEPS` for the most."""
    return math.ceil(STEPS * posts / most) if posts else 0


def mood(mean: float) -> int:
    """The step of the sentiment's colour: -3 very negative … 0 neutral … 3 very positive."""
    return sum(mean > bound for bound in MOODS[3:]) - sum(mean < bound for bound in MOODS[:3])


def leaning(quotient: float) -> float:
    """Where a location quotient lies between a quarter (-1) and four times (1), on a scale of ratios."""
    return max(-1.0, min(1.0, math.log(quotient, 4))) if quotient > 0 else -1.0
