"""What labelled posts add to the counters: a pure function, the same for `count`, `recount` and `verify`."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from consumer.labeled_post import LabeledPost

KINDS = ("posts", "broader", "sentiment", "languages", "hours", "days")
"""What is counted of each city, a hash each in Redis."""
NOT_CLASSIFIED = "_not_classified"
"""The field of posts without a place, in posts, sentiment and hours."""
SENTIMENT_UNITS = 10_000
"""Sentiments are summed as whole numbers of this fraction: sums of floats drift."""


@dataclass(slots=True)
class Tally:
    """Increments by kind of hash and city; the keys of the inner counters are the hashes' fields.

    Attributes:
        posts: city -> place -> posts.
        broader: city -> ``level|group`` -> posts without a place that surely show one of its places.
        sentiment: city -> ``place``, ``place:sq``, ``place:n`` -> sum, sum of squares, posts with a sentiment.
        languages: city -> ISO 639-1 -> posts whose caption is surely of that language.
        hours: city -> ``place|weekday|hour`` (0 = Monday, local time) -> posts.
        days: city -> ``YYYY-MM-DD`` (local time) -> posts; the same posts as in its hours.
        stamps: ``encoder|places|decision`` -> posts.
        without_zone: city whose time zone is not known -> posts; they are in no hour and no day.
        without_time: posts of which no local time is known otherwise; they are in no hour and no day.
    """

    posts: dict[str, Counter[str]] = field(default_factory=dict)
    broader: dict[str, Counter[str]] = field(default_factory=dict)
    sentiment: dict[str, Counter[str]] = field(default_factory=dict)
    languages: dict[str, Counter[str]] = field(default_factory=dict)
    hours: dict[str, Counter[str]] = field(default_factory=dict)
    days: dict[str, Counter[str]] = field(default_factory=dict)
    stamps: Counter[str] = field(default_factory=Counter)
    without_zone: Counter[str] = field(default_factory=Counter)
    without_time: int = 0

    def add(self, labeled: LabeledPost, zones: Mapping[str, ZoneInfo]) -> None:
        """Count one labelled post.

        Args:
            labeled: the post.
            zones: city -> time zone.
        """
        city, place = labeled.city, labeled.place or NOT_CLASSIFIED
        self.posts.setdefault(city, Counter())[place] += 1
        self.stamps[stamp_of(labeled)] += 1
        if labeled.broader is not None:
            self.broader.setdefault(city, Counter())[f"{labeled.broader.level}|{labeled.broader.name}"] += 1
        if labeled.language is not None:
            self.languages.setdefault(city, Counter())[labeled.language] += 1
        if labeled.sentiment is not None:
            units = round(labeled.sentiment * SENTIMENT_UNITS)
            sums = self.sentiment.setdefault(city, Counter())
            sums[place] += units
            sums[f"{place}:sq"] += units * units
            sums[f"{place}:n"] += 1
        if city not in zones:
            self.without_zone[city] += 1
        elif (local := _local(labeled.created_at, zones[city])) is None:
            self.without_time += 1
        else:
            self.hours.setdefault(city, Counter())[f"{place}|{local.weekday()}|{local.hour}"] += 1
            self.days.setdefault(city, Counter())[local.date().isoformat()] += 1

    def merge(self, other: "Tally") -> None:
        """Add another tally to this one.

        Args:
            other: stays as it is.
        """
        others = other.kinds()
        for kind, mine in self.kinds().items():
            for city, fields in others[kind].items():
                mine.setdefault(city, Counter()).update(fields)
        self.stamps.update(other.stamps)
        self.without_zone.update(other.without_zone)
        self.without_time += other.without_time

    def kinds(self) -> dict[str, dict[str, Counter[str]]]:
        """Increments by kind of hash, then by city."""
        return {kind: getattr(self, kind) for kind in KINDS}

    def hashes(self) -> dict[str, Counter[str]]:
        """Increments by key without prefix: ``stamps``, and ``posts:<city>`` and so on for every kind and city."""
        return {"stamps": self.stamps} | {
            f"{kind}:{city}": fields for kind, cities in self.kinds().items() for city, fields in cities.items()
        }


def tally(labeled: Iterable[LabeledPost], zones: Mapping[str, ZoneInfo]) -> Tally:
    """Count labelled posts.

    Args:
        labeled: the posts.
        zones: city -> time zone.
    """
    counted = Tally()
    for post in labeled:
        counted.add(post, zones)
    return counted


def _local(moment: datetime | None, zone: ZoneInfo) -> datetime | None:
    try:
        return moment and moment.astimezone(zone)
    except OverflowError:  # the first hours of year 1, the last of 9999
        return None


def hashed_id(labeled: LabeledPost) -> str:
    """What tells a post from others, by its city and id: 16 digits, however long these are."""
    return hashlib.blake2b(f"{labeled.city}\n{labeled.post_id}".encode(), digest_size=8).hexdigest()


def stamp_of(labeled: LabeledPost) -> str:
    """``<encoder>|<places>|<decision>``: figures of different stamps do not compare."""
    return f"{labeled.encoder}|{labeled.places}|{labeled.decision.to_decision()}"
