"""What counters say about cities beyond `popularity`: ratios to the other cities, abstention, mood, hours, distances.

It only computes; the numbers that `popularity` prints come from the same module as there.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon
from scipy.stats.contingency import relative_risk
from statsmodels.stats.multitest import multipletests

from consumer.count.counters import NOT_CLASSIFIED
from consumer.count.figures import CityFigures, PlaceFigures, Sentiment, Share, popularity, total
from consumer.count.snapshot import Counters
from consumer.evaluate.scores.progress import progress

ROUNDS = 1_000
"""Of a test, at least."""
ROUNDS_A_PAIR = 40
"""More rounds for more pairs: with fewer, Holm's correction would leave no p below 0.025, whatever the cities."""
TESTED = 12
"""Cities whose distances are tested: their 66 pairs take some seconds, the 19,900 pairs of 200 cities took minutes."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """The share here divided by the share in all other cities together, with a 95 % interval.

    The interval is Katz's, of the logarithm (`scipy.stats.contingency.relative_risk`). The ratio is infinite where no
    other city has such a post; the interval is then not a number on one side. Where all posts here, or all elsewhere,
    show the place, Katz's takes that share for certain: there it is of both shares' Wilson intervals (MOVER-R, Donner
    and Zou 2012).
    """

    value: float
    low: float
    high: float


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
    mood: Sentiment


@dataclass(frozen=True, slots=True)
class CityReport:
    """One city: the figures that `popularity` has too.

    Attributes:
        places: most frequent first.
        missed: the mood of posts without a place.
    """

    figures: CityFigures
    places: tuple[PlaceReport, ...]
    missed: Sentiment

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
        by_chance: its mean when the posts are dealt out to the two cities at random: few posts look distant. It and the
            next are not a number where the pair was not tested.
        p: share of such deals that are at least as distant, the observed one counted in.
        p_holm: corrected for the number of pairs that were tested (Holm).
    """

    city: str
    other: str
    posts: tuple[int, int]
    distance: float
    by_chance: float
    p: float
    p_holm: float

    @property
    def tested(self) -> bool:
        """Whether it was compared with chance."""
        return not math.isnan(self.p)


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
                _place(city, place, everywhere[place.place] - place.share.k, classified - place.share.n)
                for place in city.places
            ),
            Sentiment.of(counters.sentiment.get(city.city, {}), NOT_CLASSIFIED),
        )
        for city in popularity(counters)
    ]


def _place(city: CityFigures, place: PlaceFigures, elsewhere: int, others: int) -> PlaceReport:
    k, missing = place.share.k, city.posts - city.classified.k
    return PlaceReport(
        place=place.place,
        of_all=Share.of(k, city.posts),
        of_classified=place.share,
        highest=(k + missing) / city.posts,
        quotient=place.quotient,
        ratio=_ratio(k, place.share.n, elsewhere, others) if others else None,
        mood=place.sentiment,
    )


def _ratio(k: int, n: int, elsewhere: int, others: int) -> Ratio:
    risk = relative_risk(k, n, elsewhere, others)
    bounds = risk.confidence_interval(0.95)
    low, high = float(bounds.low), float(bounds.high)
    if elsewhere and (k == n or elsewhere == others):
        low, high = _mover(Share.of(k, n), Share.of(elsewhere, others))
    return Ratio(float(risk.relative_risk), low, high)


def _mover(one: Share, other: Share) -> tuple[float, float]:
    """The interval of one share divided by another, not 0, from the intervals of both."""
    both = one.share * other.share

    def end(of_one: float, of_other: float, sign: int) -> float:
        divisor = of_other * (2 * other.share - of_other)
        return (both + sign * math.sqrt(max(0.0, both**2 - of_one * (2 * one.share - of_one) * divisor))) / divisor

    return end(one.low, other.high, -1), end(one.high, other.low, 1)


def distances(counters: Counters, seed: int) -> list[Distance]:
    """Jensen-Shannon distance between the classified posts of every two cities, with a permutation test.

    To shuffle which of two cities a post belongs to is to draw the one city's counts from both cities' without
    putting back: the multivariate hypergeometric distribution, which needs no post by post shuffling. Only the `TESTED`
    cities with most classified posts are tested against each other.

    Args:
        counters: of at least two cities with classified posts; of fewer there is no distance.
        seed: of the permutations.
    """
    places = sorted({place for posts in counters.posts.values() for place in posts} - {NOT_CLASSIFIED})
    of_cities = {
        city: counts
        for city, posts in sorted(counters.posts.items())
        if (counts := np.array([posts.get(place, 0) for place in places], np.int64)).sum()
    }
    if len(of_cities) < 2:
        return []
    cities, table = list(of_cities), np.stack(list(of_cities.values()))
    posts = table.sum(axis=1)
    apart = [jensenshannon(table[[i]], table[i + 1 :], base=2, axis=1) for i in range(len(cities) - 1)]
    most = set(np.argsort(-posts, kind="stable")[:TESTED].tolist())
    pairs = list(itertools.combinations(sorted(most), 2))
    tests = {}
    with progress("pairs of cities", len(pairs)) as advance:
        for number, (i, j) in enumerate(pairs):
            chance = np.random.default_rng((seed, number))
            tests[i, j] = _by_chance(table[i], table[j], float(apart[i][j - i - 1]), chance, rounds_of(len(pairs)))
            advance(1)
    holm = multipletests([p for _, p in tests.values()], method="holm")[1]
    corrected = dict(zip(tests, holm.tolist(), strict=True))
    nothing = math.nan, math.nan
    return [
        Distance(
            cities[i],
            cities[j],
            (int(posts[i]), int(posts[j])),
            float(apart[i][j - i - 1]),
            *tests.get((i, j), nothing),
            corrected.get((i, j), math.nan),
        )
        for i, j in itertools.combinations(range(len(cities)), 2)
    ]


def rounds_of(pairs: int) -> int:
    """Rounds of each test when so many pairs are tested."""
    return max(ROUNDS, ROUNDS_A_PAIR * pairs)


def _by_chance(
    one: NDArray[np.int64], two: NDArray[np.int64], observed: float, chance: np.random.Generator, rounds: int
) -> tuple[float, float]:
    """The mean distance of random deals of both cities' posts, and the share of them at least as distant."""
    both = one + two
    shown = both > 0
    dealt = chance.multivariate_hypergeometric(both[shown], int(one.sum()), rounds, method="marginals")
    shuffled = jensenshannon(dealt, both[shown] - dealt, base=2, axis=1)
    as_far = int(np.count_nonzero(shuffled >= observed - 1e-12))
    return float(shuffled.mean()), (1 + as_far) / (1 + rounds)


def matrix(found: Sequence[Distance]) -> tuple[list[str], NDArray[np.float64]]:
    """Cities in order, and their distances ``[c, c]``; 0 on the diagonal."""
    cities = sorted({name for each in found for name in (each.city, each.other)})
    table = np.zeros((len(cities), len(cities)))
    for each in found:
        i, j = cities.index(each.city), cities.index(each.other)
        table[i, j] = table[j, i] = each.distance
    return cities, table
