"""What counters say about cities beyond `popularity`: ratios to the other cities, abstention, mood, hours, distances.

It only computes; the numbers that `popularity` prints come from the same module as there.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon
from scipy.stats.contingency import relative_risk
from statsmodels.stats.multitest import multipletests

from consumer.count.counters import NOT_CLASSIFIED, SENTIMENT_UNITS
from consumer.count.figures import CityFigures, PlaceFigures, Share, popularity, total
from consumer.count.snapshot import Counters

ENOUGH = 30
"""Posts with a sentiment from which the mean has an interval."""
ROUNDS = 1_000


@dataclass(frozen=True, slots=True)
class Ratio:
    """The share here divided by the share in all other cities together, with a 95 % interval.

    The interval is Katz's, of the logarithm (`scipy.stats.contingency.relative_risk`). The ratio is infinite where no
    other city has such a post; the interval is then not a number on one side.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Mood:
    """Mean VADER compound in [-1, 1], ± 1.96 s / √n.

    Attributes:
        mean: not a number below `ENOUGH` posts with a sentiment.
        half: half the width of the interval; likewise.
        scored: posts with a sentiment, of all posts of this place here.
    """

    mean: float
    half: float
    scored: Share


@dataclass(frozen=True, slots=True)
class PlaceReport:
    """One place of one city.

    Attributes:
        of_classified: posts of the place among the city's classified ones, its quotient, as `popularity` prints them.
        of_all: the same among all the city's posts.
        highest: its share of all posts if every post that was not classified showed it; `of_all.share` is the lowest.
        ratio: to the other cities, of classified posts; None with a single city, or when the others have none.
    """

    place: str
    of_all: Share
    of_classified: Share
    highest: float
    quotient: float | None
    ratio: Ratio | None
    mood: Mood


@dataclass(frozen=True, slots=True)
class CityReport:
    """One city: the figures that `popularity` has too, and its places, most frequent first."""

    figures: CityFigures
    places: tuple[PlaceReport, ...]

    @property
    def not_classified(self) -> int:
        """Posts without a place."""
        return self.figures.posts - self.figures.classified.k


@dataclass(frozen=True, slots=True)
class Distance:
    """How differently two cities are distributed over the places.

    Attributes:
        posts: classified posts of both.
        distance: Jensen-Shannon distance, base 2: 0 equal, 1 no place in common.
        by_chance: its mean when the posts are dealt out to the two cities at random: few posts look distant.
        p: share of such deals that are at least as distant, the observed one counted in.
        p_holm: corrected for the number of pairs (Holm).
    """

    city: str
    other: str
    posts: tuple[int, int]
    distance: float
    by_chance: float
    p: float
    p_holm: float


def reports(counters: Counters) -> list[CityReport]:
    """Every city, by name.

    Args:
        counters: from Redis, or counted from the topic.
    """
    everywhere = total(counters)
    classified = sum(everywhere.values())
    return [
        CityReport(
            city,
            tuple(
                _place(city, place, counters, everywhere[place.place] - place.share.k, classified - place.share.n)
                for place in city.places
            ),
        )
        for city in popularity(counters)
    ]


def _place(city: CityFigures, place: PlaceFigures, counters: Counters, elsewhere: int, others: int) -> PlaceReport:
    k, missing = place.share.k, city.posts - city.classified.k
    return PlaceReport(
        place=place.place,
        of_all=Share.of(k, city.posts),
        of_classified=place.share,
        highest=(k + missing) / city.posts,
        quotient=place.quotient,
        ratio=_ratio(k, place.share.n, elsewhere, others) if others else None,
        mood=mood(counters.sentiment.get(city.city, {}), place.place, k),
    )


def _ratio(k: int, n: int, elsewhere: int, others: int) -> Ratio:
    risk = relative_risk(k, n, elsewhere, others)
    bounds = risk.confidence_interval(0.95)
    return Ratio(float(risk.relative_risk), float(bounds.low), float(bounds.high))


def mood(sums: Mapping[str, int], place: str, posts: int) -> Mood:
    """Mean sentiment of a place's posts, from sums of whole numbers.

    Args:
        sums: a city's hash: ``place``, ``place:sq``, ``place:n``.
        place: a category, or `NOT_CLASSIFIED`.
        posts: of this place in this city.
    """
    n = sums.get(f"{place}:n", 0)
    scored = Share.of(n, posts)
    if n < ENOUGH:
        return Mood(math.nan, math.nan, scored)
    total = sums.get(place, 0)
    # exact: whole numbers, n·Σx² - (Σx)² before the first rounding
    variance = (n * sums.get(f"{place}:sq", 0) - total**2) / (n * (n - 1)) / SENTIMENT_UNITS**2
    return Mood(total / n / SENTIMENT_UNITS, 1.96 * math.sqrt(variance / n), scored)


def distances(counters: Counters, seed: int, rounds: int = ROUNDS) -> list[Distance]:
    """Jensen-Shannon distance between the classified posts of every two cities, with a permutation test.

    To shuffle which of two cities a post belongs to is to draw the one city's counts from both cities' without
    putting back: the multivariate hypergeometric distribution, which needs no post by post shuffling.

    Args:
        counters: of at least two cities with classified posts; of fewer there is no distance.
        seed: of the permutations.
        rounds: how many there are.
    """
    places = sorted({place for posts in counters.posts.values() for place in posts} - {NOT_CLASSIFIED})
    of_cities = {
        city: counts
        for city, posts in sorted(counters.posts.items())
        if (counts := np.array([posts.get(place, 0) for place in places], np.int64)).sum()
    }
    found: list[tuple[str, str, float, float, float]] = []
    for number, (city, other) in enumerate(itertools.combinations(of_cities, 2)):
        one, two = of_cities[city], of_cities[other]
        both, posts = one + two, int(one.sum())
        observed = float(jensenshannon(one, two, base=2))
        chance = np.random.default_rng((seed, number))
        dealt = chance.multivariate_hypergeometric(both, posts, rounds, method="marginals")
        shuffled = jensenshannon(dealt, both - dealt, base=2, axis=1)
        as_far = int(np.count_nonzero(shuffled >= observed - 1e-12))
        found.append((city, other, observed, float(shuffled.mean()), (1 + as_far) / (1 + rounds)))
    if not found:
        return []
    corrected = multipletests([each[-1] for each in found], method="holm")[1]
    return [
        Distance(city, other, (int(of_cities[city].sum()), int(of_cities[other].sum())), far, chance, p, float(holm))
        for (city, other, far, chance, p), holm in zip(found, corrected, strict=True)
    ]


def matrix(found: Sequence[Distance]) -> tuple[list[str], NDArray[np.float64]]:
    """Cities in order, and their distances ``[c, c]``; 0 on the diagonal."""
    cities = sorted({name for each in found for name in (each.city, each.other)})
    table = np.zeros((len(cities), len(cities)))
    for each in found:
        i, j = cities.index(each.city), cities.index(each.other)
        table[i, j] = table[j, i] = each.distance
    return cities, table
