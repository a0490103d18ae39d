"""How sure a figure is: Wilson intervals of one class, and a bootstrap within strata for everything weighted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.proportion import proportion_confint

from consumer.evaluate.sample import Sample

Weighting = Literal["balanced", "frequency"]

LEVEL = 0.95


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

        ``balanced``: every class the same. ``frequency``: every class as often as it is in the dataset
        (Horvitz and Thompson 1952: the inverse of a post's chance to be drawn).
        """
        sampled = np.bincount(self.of, minlength=len(self.populations))
        whole = self.populations if weighting == "frequency" else np.ones(len(self.populations))
        weights = (whole / sampled)[self.of]
        return np.asarray(weights * len(weights) / weights.sum())


@dataclass(frozen=True, slots=True, eq=False)
class Bootstrap:
    """The rounds of one bootstrap: 8 MB for 1,000 rounds of 1,000 posts. Figures from the same rounds are paired.

    Attributes:
        drawn: how often each post is drawn in each round, ``[rounds, n]``.
    """

    drawn: NDArray[np.float64]

    @classmethod
    def within(cls, strata: Strata, rounds: int, seed: int) -> "Bootstrap":
        """Draw from every stratum with putting back, as often as it has posts (Efron and Tibshirani 1993, ch. 8)."""
        chance = np.random.default_rng(seed)
        drawn = np.zeros((rounds, len(strata.of)))
        for stratum in range(len(strata.populations)):
            posts = np.flatnonzero(strata.of == stratum)
            drawn[:, posts] = chance.multinomial(len(posts), np.full(len(posts), 1 / len(posts)), rounds)
        return cls(drawn)

    def sums(self, weights: NDArray[np.float64], columns: NDArray[Any]) -> NDArray[np.float64]:
        """Weighted sums over the posts in every round: ``[n]`` and ``[n, m]`` give ``[rounds, m]``."""
        return np.asarray(self.drawn @ (weights[:, None] * columns))

    def each(
        self, statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """A statistic of the posts' weights ``[n]`` in every round, stacked."""
        return np.stack([statistic(weights * drawn) for drawn in self.drawn])


def share(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """``part / whole``; not a number where the whole is nothing."""
    return np.asarray(
        np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=np.asarray(whole) > 0)
    )


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
