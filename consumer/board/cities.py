"""The figures of the Cities page, from Redis through the module that `popularity` uses; asked for every few seconds."""

import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import redis

from consumer.board.settings import BoardSettings
from consumer.count.store import Counters
from producer.errors import CommandError

if TYPE_CHECKING:
    from consumer.count.popularity import CityFigures

FRESH = 2.0
"""Seconds for which figures serve every browser."""
STEPS = 6
"""Steps of the heat map's colour."""
MOODS = (-0.5, -0.2, -0.05, 0.05, 0.2, 0.5)
"""Bounds of the sentiment's colours; ±0.05 are VADER's own for neutral."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What is counted.

    Attributes:
        cities: by name.
        hours: city -> posts per weekday (0 = Monday) and hour, local time.
        stamps: settings that labelled these posts -> posts.
        trouble: why there are none, as a sentence.
    """

    cities: "list[CityFigures]" = field(default_factory=list)
    hours: dict[str, list[list[int]]] = field(default_factory=dict)
    stamps: dict[str, int] = field(default_factory=dict)
    trouble: str | None = None


class Cities:
    """Reads the counters, for however many browsers, at most every `FRESH` seconds."""

    def __init__(self, settings: BoardSettings) -> None:
        """Prepare; nothing is connected yet."""
        self._settings = settings
        self._client = settings.redis_client()
        self._lock = threading.Lock()
        self._figures = Figures()
        self._read_at = -math.inf

    def figures(self) -> Figures:
        """The figures, or what is in their way. Blocks; it never raises for a Redis that is away."""
        with self._lock:
            if time.monotonic() - self._read_at > FRESH:
                self._figures = self._read()
                self._read_at = time.monotonic()
            return self._figures

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _read(self) -> Figures:
        from consumer.count.popularity import popularity  # loads scipy.stats: the wall need not wait for that

        where = self._settings.redis_address
        try:
            counters = Counters.read(self._client, self._settings.counter_prefix)
        except (redis.RedisError, OSError):
            return Figures(trouble=f"No Redis answers at {where}. This page keeps trying.")
        except CommandError as error:
            return Figures(trouble=f"The counters cannot be read: {error}.")
        cities = popularity(counters)
        if not cities:
            return Figures(trouble=f"Nothing is counted yet at {where}: “python -m consumer count” counts.")
        weeks = {city: _week(fields) for city, fields in counters.hours.items() if fields}
        return Figures(cities, weeks, counters.stamps)


def _week(fields: Mapping[str, int]) -> list[list[int]]:
    week = [[0] * 24 for _ in range(7)]
    for name, posts in fields.items():
        _, weekday, hour = name.rsplit("|", 2)
        week[int(weekday)][int(hour)] += posts
    return week


def step(posts: int, most: int) -> int:
    """The step of the heat map's colour: 0 for no posts, `STEPS` for the most."""
    return math.ceil(STEPS * posts / most) if posts else 0


def mood(mean: float) -> int:
    """The step of the sentiment's colour: -3 very negative … 0 neutral … 3 very positive."""
    return sum(mean > bound for bound in MOODS[3:]) - sum(mean < bound for bound in MOODS[:3])


def leaning(quotient: float) -> float:
    """Where a location quotient lies between a quarter (-1) and four times (1), on a scale of ratios."""
    return max(-1.0, min(1.0, math.log(quotient, 4))) if quotient > 0 else -1.0
