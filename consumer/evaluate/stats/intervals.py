"""How sure a figure is: Wilson intervals of one class, and a bootstrap within strata for everything weighted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.proportion import proportion_confint

from consumer.evaluate.samples.enough import too_few
from consumer.evaluate.samples.folder import Sample

Weighting = Literal["balanced", "frequency"]

LEVEL = 0.95
CHUNK = 100
"""Rounds at a time: bounds the memory that a statistic of a large sample takes."""


@dataclass(frozen=True, slots=True, eq=False)
class Strata:
    """How n posts were drawn.

    Attributes:
        names: the classes drawn from; empty for a sample of the whole dataset.
        of: the stratum of each post, ``[n]``.
        populations: posts of each stratum in the dataset.
    """

    names: tuple[str, ...]
    of: NDArray[np.int64]
    populations: NDArray[np.float64]

    @classmethod
    def from_sample(cls, sample: Sample) -> "Strata":
        """The strata of a sample that have posts in it."""
        used = [each for each in sample.strata if any(post.stratum == each.place for post in sample.posts)]
        number = {each.place: index for index, each in enumerate(used)}
        return cls(
            tuple(each.place for each in used if each.place is not None),
            np.array([number[post.stratum] for post in sample.posts], np.int64),
            np.array([each.posts for each in used], np.float64),
        )

    @property
    def weightings(self) -> tuple[Weighting, ...]:
        """The ways to weight; a sample of the whole dataset has its classes' frequency by itself."""
        return ("balanced", "frequency") if self.names else ("frequency",)

    def weights(self, weighting: Weighting) -> NDArray[np.float64]:
        """What each post counts, ``[n]``, with the mean 1.

        ``balanced``: every class the same. ``frequency``: every class as often as it is in the dataset, among the
        classes drawn from (Horvitz and Thompson 1952: the inverse of a post's chance to be drawn); of the other
        classes a sample of classes knows nothing.
        """
        sampled = np.bincount(self.of, minlength=len(self.populations))
        whole = self.populations if weighting == "frequency" else np.ones(len(self.populations))
        weights = (whole / sampled)[self.of]
        return np.asarray(weights * len(weights) / weights.sum())

    @property
    def too_few(self) -> str | None:
        """What to say of classes with so few posts that no interval over all of them holds."""
        return too_few(np.bincount(self.of, minlength=len(self.populations)).tolist())


@dataclass(frozen=True, slots=True, eq=False)
class Bootstrap:
    """The rounds of one bootstrap: 4 MB for 1,000 rounds of 1,000 posts. Figures from the same rounds are paired.

    Attributes:
        drawn: how often each post is drawn in each round, ``[rounds, n]``.
    """

    drawn: NDArray[np.float32]

    @classmethod
    def within(cls, strata: Strata, rounds: int, seed: int) -> "Bootstrap":
        """Draw from every stratum with putting back, as often as it has posts (Efron and Tibshirani 1993, ch. 8)."""
        chance = np.random.default_rng(seed)
        drawn = np.zeros((rounds, len(strata.of)), np.float32)
        for stratum in range(len(strata.populations)):
            posts = np.flatnonzero(strata.of == stratum)
            drawn[:, posts] = chance.multinomial(len(posts), np.full(len(posts), 1 / len(posts)), rounds)
        return cls(drawn)

    def sums(self, weights: NDArray[np.float64], columns: NDArray[Any]) -> NDArray[np.float64]:
        """Weighted sums over the posts in every round: ``[n]`` and ``[n, m]`` give ``[rounds, m]``."""
        weighted = (weights[:, None] * columns).astype(np.float32)  # seven digits are enough for an interval's ends
        return np.asarray(self.drawn @ weighted, np.float64)

    def each(
        self, statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """A statistic in every round; it is given the posts' weights in some rounds at a time, ``[some, n]``."""
        chunks = range(0, len(self.drawn), CHUNK)
        return np.concatenate([statistic(weights * self.drawn[start : start + CHUNK]) for start in chunks])


def share(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """``part / whole``; not a number where the whole is nothing."""
    return np.asarray(
        np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=np.asarray(whole) > 0)
    )


def share_interval(
    bootstrap: Bootstrap, weights: NDArray[np.float64], part: NDArray[np.bool_], whole: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Weighted shares of posts, each with its percentile interval.

    Where every post is in the part, or none, the bootstrap sees no spread: there it is the Wilson interval of the
    effective number of posts.

    Args:
        bootstrap: its rounds.
        weights: ``[n]``.
        part: ``[n, m]``.
        whole: ``[n, m]``, the part and the rest.

    Returns:
        Share, low and high, ``[m]`` each; not a number where the whole is nothing.
    """
    inside, everything = weights @ part, weights @ whole
    found = share(inside, everything)
    low, high = percentiles(share(bootstrap.sums(weights, part), bootstrap.sums(weights, whole)))
    effective = effective_number(weights, whole)
    counted = weights > 0
    flat = (counted @ part.astype(np.int64) == 0) | (counted @ (whole & ~part).astype(np.int64) == 0)
    low[flat], high[flat] = wilson(np.clip(found[flat], 0, 1) * effective[flat], effective[flat])
    return found, low, high


def effective_number(weights: NDArray[np.float64], whole: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How many equal posts the weighted ones are worth, (sum of weights)² / sum of squared weights (Kish 1965)."""
    return share((weights @ whole) ** 2, weights**2 @ whole)


def paired_interval(
    difference: NDArray[Any], rounds: NDArray[np.float64], effective: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The interval of paired differences of shares; to either side at least as wide as Wilson's of none.

    Where (nearly) no post differs the bootstrap sees (nearly) no spread, or none to one side. But of so few posts as
    many as Wilson's upper end of none may differ, and none of them be drawn. From four posts that differ on it is the
    bootstrap's own.

    Args:
        difference: ``[m]``.
        rounds: of the bootstrap, ``[rounds, m]``.
        effective: number of posts, ``[m]``.
    """
    low, high = percentiles(rounds)
    some = wilson(np.zeros_like(effective), effective)[1]
    return np.fmax(-1.0, np.fmin(low, difference - some)), np.fmin(1.0, np.fmax(high, difference + some))


def percentiles(rounds: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The percentile interval over the first axis; rounds that are not a number are left out.

    Not a number where fewer than nine in ten rounds are one: that interval would be of the lucky rounds only.
    """
    tail = (1 - LEVEL) / 2
    ends = np.full((2, *rounds.shape[1:]), np.nan)
    usable = np.isfinite(rounds).mean(axis=0)
    whole, most = usable == 1, (usable >= 0.9) & (usable < 1)
    ends[:, whole] = np.quantile(rounds[:, whole], (tail, 1 - tail), axis=0)
    ends[:, most] = np.nanquantile(rounds[:, most], (tail, 1 - tail), axis=0)
    return ends[0], ends[1]


def wilson(part: NDArray[Any], whole: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The Wilson score interval of ``part`` posts of ``whole`` ones; not a number where the whole is nothing."""
    counted = np.asarray(whole) > 0
    low, high = proportion_confint(np.where(counted, part, 0), np.where(counted, whole, 1), 1 - LEVEL, "wilson")
    return np.where(counted, low, np.nan), np.where(counted, high, np.nan)
