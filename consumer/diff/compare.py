"""What two sets of labels say of the same posts: equal places, what changed to what, and each city's shares."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from consumer.diff.read import Names, Side

Z = NormalDist().inv_cdf(0.975)
"""Of an interval at 95 %."""


@dataclass(frozen=True, slots=True)
class Equal:
    """How many of some posts have the same place on both sides; not classified on both is the same too.

    Attributes:
        posts: all of them.
        equal: those with the same.
        share: of `equal` in `posts`; not a number of none.
    """

    posts: int
    equal: int
    share: float

    @classmethod
    def of(cls, is_equal: NDArray[np.bool_]) -> "Equal":
        """Of these posts, ``[n]``."""
        return cls(len(is_equal), int(is_equal.sum()), float(is_equal.mean()) if len(is_equal) else math.nan)


@dataclass(frozen=True, slots=True)
class Change:
    """Posts whose place was `before` in A and is `after` in B; None: not classified."""

    before: str | None
    after: str | None
    posts: int


@dataclass(frozen=True, slots=True)
class Shift:
    """A place's share of a city's posts in A and in B, and the change from A to B with its 95 % interval.

    Attributes:
        place: None: not classified.
        before: posts in A.
        after: posts in B.
        change: of the share, B less A.
        low: of its interval.
        high: of its interval.
    """

    place: str | None
    before: int
    after: int
    change: float
    low: float
    high: float

    @classmethod
    def of(cls, place: str | None, posts: int, before: int, after: int, both: int) -> "Shift":
        """Of matched pairs, by Agresti and Min (2005, section 2): half a post more in each of the four cells.

        Args:
            place: whose share.
            posts: of the city.
            before: posts that have the place in A.
            after: posts that have it in B.
            both: posts that have it in both.
        """
        left, come, whole = before - both + 0.5, after - both + 0.5, posts + 2
        middle = (come - left) / whole
        half = Z * math.sqrt(max(0.0, (left + come) / whole - middle**2) / whole)
        return cls(place, before, after, (after - before) / posts, max(-1.0, middle - half), min(1.0, middle + half))


@dataclass(frozen=True, slots=True)
class City:
    """A city's posts, and the shifts of all places that it has in A or B; the largest first."""

    city: str
    posts: int
    shifts: tuple[Shift, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """What two sets of labels say.

    Attributes:
        only_a: posts that B has no label of.
        only_b: the other way round.
        both: posts of both; all that follows is of them.
        lacking: of them those that on one side alone the picture decided although the decision asks for the caption.
        changes: the most frequent first.
        cities: those with most posts first.
    """

    only_a: int
    only_b: int
    both: Equal
    lacking: Equal
    changes: tuple[Change, ...]
    cities: tuple[City, ...]


def compare(a: Side, b: Side, places: Names, cities: Names) -> Difference:
    """Join two sides by post, and compare.

    Args:
        a: one side.
        b: the other.
        places: names of the places' numbers.
        cities: likewise; a post is of the city that A names.
    """
    _, of_a, of_b = np.intersect1d(a.posts, b.posts, assume_unique=True, return_indices=True)
    before, after, city = a.places[of_a], b.places[of_b], a.cities[of_a]
    is_equal, lacks = before == after, a.lacks_caption[of_a] != b.lacks_caption[of_b]
    return Difference(
        len(a.posts) - len(of_a),
        len(b.posts) - len(of_b),
        Equal.of(is_equal),
        Equal.of(is_equal[lacks]),
        tuple(_changes(before[~is_equal], after[~is_equal], places.names)),
        tuple(_cities(before, after, city, places.names, cities.names)),
    )


def _changes(before: NDArray[np.uint32], after: NDArray[np.uint32], names: list[str | None]) -> Iterator[Change]:
    pairs, posts = np.unique(np.stack([before, after], axis=1), axis=0, return_counts=True)
    for number in np.argsort(-posts, kind="stable"):
        left, come = pairs[number]
        yield Change(names[left], names[come], int(posts[number]))


def _cities(
    before: NDArray[np.uint32],
    after: NDArray[np.uint32],
    city: NDArray[np.uint32],
    names: list[str | None],
    cities: list[str | None],
) -> Iterator[City]:
    numbers, posts = np.unique(city, return_counts=True)
    rows = np.split(np.argsort(city, kind="stable"), np.cumsum(posts)[:-1])  # of each city
    for number in np.argsort(-posts, kind="stable"):
        mine, count = rows[number], int(posts[number])
        of_a, of_b = (np.bincount(side[mine], minlength=len(names)) for side in (before, after))
        of_both = np.bincount(before[mine][before[mine] == after[mine]], minlength=len(names))
        shifts = [
            Shift.of(names[place], count, int(of_a[place]), int(of_b[place]), int(of_both[place]))
            for place in np.flatnonzero(of_a + of_b)
        ]
        shifts.sort(key=lambda shift: (-abs(shift.change), shift.place or ""))
        yield City(str(cities[numbers[number]]), count, tuple(shifts))
