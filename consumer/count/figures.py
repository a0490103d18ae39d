"""Which places a city photographs, when, and in what mood: figures from the counters. It computes; `report` prints."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist

from consumer.classify.captions import ENGLISH
from consumer.classify.places import Places
from consumer.count.counters import NOT_CLASSIFIED, SENTIMENT_UNITS
from consumer.count.known import OTHER
from consumer.count.snapshot import Counters

Z = NormalDist().inv_cdf(0.975)
"""Of an interval at 95 %."""
ENOUGH = 30
"""Posts with a sentiment that a mean must rest on."""
NAMED = 3
"""Languages that are named where there is one line for all."""
REPEATED = 0.04
"""Share of the posts whose ids came before from which it is said: five times the error of their number."""
LEAST_REPEATED = 10
"""And at least so many: of a few hundred ids two may have one hash."""
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Share:
    """k of n, with a 95 % Wilson score interval (Wilson 1927; formula 3 of Newcombe 1998).

    `scipy.stats.binomtest` gives the same and takes a hundred times as long, for it tests as well.
    """

    k: int
    n: int
    share: float
    low: float
    high: float

    @classmethod
    def of(cls, k: int, n: int) -> "Share":
        """The share of k in n; of nothing in nothing it is not a number.

        Args:
            k: posts in question.
            n: posts in all; k <= n.
        """
        if n == 0:
            return cls(0, 0, math.nan, math.nan, math.nan)
        p, whole = k / n, 2 * (n + Z**2)
        centre, half = (2 * n * p + Z**2) / whole, Z / whole * math.sqrt(4 * n * p * (1 - p) + Z**2)
        return cls(k, n, p, centre - half if k else 0.0, centre + half if k < n else 1.0)


@dataclass(frozen=True, slots=True)
class Sentiment:
    """Mean VADER compound in [-1, 1], ± 1.96 s / √n; shown nowhere below `ENOUGH` posts.

    Attributes:
        mean: not a number below `ENOUGH` posts.
        n: posts with a sentiment.
        half: half the width of the 95 % interval; likewise. Where all are the same it is as wide as if as many posts as
            Wilson's upper end of none were as different as can be.
    """

    mean: float
    n: int
    half: float

    @classmethod
    def of(cls, sums: Mapping[str, int], place: str) -> "Sentiment":
        """The mean from sums of whole numbers.

        Args:
            sums: a city's hash: ``place``, ``place:sq``, ``place:n``.
            place: a category, or `NOT_CLASSIFIED`.
        """
        n = sums.get(f"{place}:n", 0)
        if n < ENOUGH:
            return cls(math.nan, n, math.nan)
        total = sums.get(place, 0)
        mean = total / n / SENTIMENT_UNITS
        # exact: whole numbers, n·Σx² - (Σx)² before the first rounding
        squares = n * sums.get(f"{place}:sq", 0) - total**2
        if squares == 0:
            return cls(mean, n, Share.of(0, n).high * (1 + abs(mean)))
        return cls(mean, n, Z * math.sqrt(squares / (n * (n - 1)) / n) / SENTIMENT_UNITS)

    @property
    def enough(self) -> bool:
        """Whether there is a mean."""
        return self.n >= ENOUGH


@dataclass(frozen=True, slots=True)
class PlaceFigures:
    """One place of one city.

    Attributes:
        share: of the city's classified posts.
        quotient: location quotient: the share here divided by the share over all cities; None with a single city.
        sentiment: of this place's posts in this city.
    """

    place: str
    share: Share
    quotient: float | None
    sentiment: Sentiment


@dataclass(frozen=True, slots=True)
class TimeFigures:
    """One hour (0-23) or weekday (0 = Monday) of one city, in its local time.

    Attributes:
        share: of the city's posts whose time is known, not classified ones included.
    """

    when: int
    share: Share


@dataclass(frozen=True, slots=True)
class LanguageFigures:
    """One language of one city's captions.

    Attributes:
        language: ISO 639-1.
        share: of all the city's posts, those without a caption or without a sure language included.
    """

    language: str
    share: Share


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """One kind of place of one city: a group of the label set's level 2.

    Attributes:
        group: its name; `OTHER` for what lies in none, or in several of them.
        share: of the city's posts with a place or a broader answer.
        broader: posts of it with a broader answer.
    """

    group: str
    share: Share
    broader: int


@dataclass(frozen=True, slots=True)
class CityFigures:
    """One city.

    Attributes:
        posts: all labelled posts.
        classified: share of them that were classified.
        broader: share of them that have a broader answer instead.
        groups: by posts, most first; empty where it was not said which place lies in which.
        places: by posts, most first.
        hours: the 24 hours, or empty when no post's local time is known.
        weekdays: the 7 days, likewise.
        first_day: ``YYYY-MM-DD``, local time, of the oldest post in these hours; None when not known of all of them.
        last_day: of the newest one.
        languages: by posts, most first.
        moods_of_any_language: posts, at least, whose sentiment may be of another language than English: an earlier
            version labelled or counted them.
    """

    city: str
    posts: int
    classified: Share
    broader: Share
    groups: list[GroupFigures]
    places: list[PlaceFigures]
    hours: list[TimeFigures]
    weekdays: list[TimeFigures]
    first_day: str | None
    last_day: str | None
    languages: list[LanguageFigures]
    moods_of_any_language: int

    @property
    def spoken(self) -> list[tuple[str, float]]:
        """Shares of all posts by language: the `NAMED` most frequent, ``others``, ``not known``; empty if none is."""
        named = [(each.language, each.share.share) for each in self.languages]
        if not named:
            return []
        rest = {"others": sum(share for _, share in named[NAMED:]), "not known": 1 - sum(share for _, share in named)}
        return named[:NAMED] + [(name, share) for name, share in rest.items() if share > 1e-9]

    @property
    def known_local_time(self) -> int:
        """Posts whose local time is known: those in the hours."""
        return self.hours[0].share.n if self.hours else 0


def popularity(
    counters: Counters, cities: Iterable[str] | None = None, group_of: Mapping[str, str] | None = None
) -> Iterator[CityFigures]:
    """The figures of cities, one after the other.

    Args:
        counters: as read from Redis.
        cities: some of theirs; None is all, by name.
        group_of: as `groups_of` gives it.
    """
    everywhere, cities = total(counters), sorted(counters.posts) if cities is None else cities
    return (city_figures(counters, city, everywhere, group_of) for city in cities)


def groups_of(places: Places) -> dict[str, str]:
    """The level-2 group of each place, and of each broader answer as its counter is called (``level|group``).

    Args:
        places: the label set of the labels; without level 2 it is empty.
    """
    of_place = {place.category: place.level2 or OTHER for place in places.places}
    if set(of_place.values()) == {OTHER}:
        return {}
    of_answer = {
        f"{group.level}|{group.name}": {of_place[member] for member in group.members} for group in places.groups
    }
    return of_place | {field: names.pop() if len(names) == 1 else OTHER for field, names in of_answer.items()}


def repeated(counters: Counters) -> str | None:
    """One line where many posts were counted more than once; None where they were not, or that is not known.

    Args:
        counters: as read from Redis.
    """
    if counters.ids_of - counters.ids < max(LEAST_REPEATED, REPEATED * counters.ids_of):
        return None
    return (
        f"{counters.ids_of:,} posts were counted, of only about {counters.ids:,} different ids: a dataset was sent "
        "twice, or labelled twice into one topic. The figures count such posts more than once; to have them once, "
        "label each post once, under new names (deploy/UPGRADE.md)"
    )


def by_posts(counters: Counters) -> list[str]:
    """The cities, those with the most posts first.

    Args:
        counters: as read from Redis.
    """
    posts = {city: sum(places.values()) for city, places in counters.posts.items()}
    return sorted(posts, key=lambda city: (-posts[city], city))


def total(counters: Counters) -> dict[str, int]:
    """Place -> posts in all cities together; those that are not classified are left out.

    Args:
        counters: as read from Redis.
    """
    totals: dict[str, int] = {}
    for places in counters.posts.values():
        for place, n in places.items():
            totals[place] = totals.get(place, 0) + n
    totals.pop(NOT_CLASSIFIED, None)
    return totals


def city_figures(
    counters: Counters, city: str, everywhere: Mapping[str, int], group_of: Mapping[str, str] | None = None
) -> CityFigures:
    """The figures of one city.

    Args:
        counters: as read from Redis.
        city: one of theirs.
        everywhere: their `total`.
        group_of: as `groups_of` gives it.
    """
    posts = counters.posts[city]
    all_posts, all_classified = sum(posts.values()), sum(everywhere.values())
    classified = all_posts - posts.get(NOT_CLASSIFIED, 0)
    several = len(counters.posts) > 1
    places = [
        PlaceFigures(
            place,
            Share.of(n, classified),
            (n / classified) / (everywhere[place] / all_classified) if several else None,
            Sentiment.of(counters.sentiment.get(city, {}), place),
        )
        for place, n in sorted(posts.items(), key=lambda item: (-item[1], item[0]))
        if place != NOT_CLASSIFIED and n > 0
    ]
    hours = counters.hours.get(city, {})
    of_week = week(hours)
    first_day, last_day = _date_range(counters.days.get(city, {}), sum(hours.values()))
    share = Share.of(classified, all_posts)
    by_hour, by_weekday = _times(zip(*of_week, strict=True)), _times(of_week)
    languages = [
        LanguageFigures(language, Share.of(n, all_posts))
        for language, n in sorted(counters.languages.get(city, {}).items(), key=lambda item: (-item[1], item[0]))
    ]
    answers = counters.broader.get(city, {})
    return CityFigures(
        city,
        all_posts,
        share,
        Share.of(sum(answers.values()), all_posts),
        _groups(posts, answers, group_of or {}),
        places,
        by_hour,
        by_weekday,
        first_day,
        last_day,
        languages,
        moods_of_any_language(counters, city),
    )


def _groups(posts: Mapping[str, int], answers: Mapping[str, int], group_of: Mapping[str, str]) -> list[GroupFigures]:
    if not group_of:
        return []
    all_of, broader = Counter[str](), Counter[str]()
    for name, n in posts.items():
        if name != NOT_CLASSIFIED:
            all_of[group_of.get(name, OTHER)] += n
    for field, n in answers.items():
        broader[group_of.get(field, OTHER)] += n
    all_of.update(broader)
    found = sorted(all_of.items(), key=lambda item: (-item[1], item[0]))
    return [GroupFigures(group, Share.of(n, all_of.total()), broader[group]) for group, n in found if n > 0]


def moods_of_any_language(counters: Counters, city: str) -> int:
    """Posts, at least, with a sentiment and no known language: since languages are told, English alone has one.

    Args:
        counters: as read from Redis.
        city: one of theirs.
    """
    scored = sum(n for field, n in counters.sentiment.get(city, {}).items() if field.endswith(":n"))
    return max(0, scored - counters.languages.get(city, {}).get(ENGLISH, 0))


def week(hours: Mapping[str, int], place: str | None = None) -> list[list[int]]:
    """Posts per weekday (0 = Monday) and hour, local time.

    Args:
        hours: a city's hash ``place|weekday|hour`` -> posts.
        place: counts this place alone; None all posts.
    """
    counts = [[0] * 24 for _ in WEEKDAYS]
    for field, posts in hours.items():
        name, weekday, hour = field.rsplit("|", 2)
        if place in (None, name):
            counts[int(weekday)][int(hour)] += posts
    return counts


def _times(cells: Iterable[Iterable[int]]) -> list[TimeFigures]:
    """The hours, or the weekdays; empty when no post's local time is known."""
    counts = list(map(sum, cells))
    total = sum(counts)
    return [TimeFigures(when, Share.of(n, total)) for when, n in enumerate(counts)] if total else []


def _date_range(days: Mapping[str, int], posts: int) -> tuple[str, str] | tuple[None, None]:
    """First and last day, when the days hold as many posts as the hours: earlier versions counted no days."""
    known = [day for day, n in days.items() if n > 0]  # ISO dates sort as text
    return (min(known), max(known)) if known and sum(days.values()) == posts else (None, None)
