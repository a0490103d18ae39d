"""Broader answers: the rule that chooses a group of places where no place is sure enough."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from consumer.classify.decision import reaches, winner
from consumer.classify.label import Broader
from consumer.classify.places import LEVELS, Group

LEAST_BITS = 1.0
"""What the answer "one of this kind" must tell. Of three kinds of place the likeliest always has a third and more."""


class BroaderAnswers:
    """The groups of a label set as columns, and the rule that chooses between them.

    Args:
        groups: level after level, as `Places.groups` gives them.
        categories: the places, in the order of the probabilities.
    """

    def __init__(self, groups: Sequence[Group], categories: Sequence[str]) -> None:
        self.groups = tuple(groups)
        column = {category: number for number, category in enumerate(categories)}
        members = np.zeros((len(column), len(groups)))
        for number, group in enumerate(groups):
            members[[column[category] for category in group.members], number] = 1
        self._members = torch.from_numpy(members)
        self._least = np.array([_least(group, len(column)) for group in groups])
        of_levels = (np.flatnonzero([group.level == level for group in groups]) for level in LEVELS)
        self._levels = [columns for columns in of_levels if len(columns)]

    def sums(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of each group, ``[n, g]``, for probabilities of the places ``[n, p]``."""
        return np.asarray((torch.from_numpy(probabilities) @ self._members).numpy())

    def choose(self, sums: NDArray[np.float64], threshold: float) -> NDArray[np.intp]:
        """The group that is the answer, ``[n]``; -1 where none is.

        It is the likeliest of the finest level on which one reaches the threshold. A kind of place must also tell
        `LEAST_BITS`: with 205 places about 0.6 is enough on level 2, on level 1 about 0.9.

        Args:
            sums: of the groups, ``[n, g]``.
            threshold: BROADER_THRESHOLD.
        """
        chosen = np.full(len(sums), -1)
        for columns in self._levels:
            there = np.where(
                reaches(sums[:, columns], np.maximum(threshold, self._least[columns])), sums[:, columns], -1.0
            )
            best, highest = winner(there)
            chosen = np.where((chosen < 0) & (highest >= 0), columns[best], chosen)
        return chosen

    def of(self, probabilities: NDArray[np.float64], threshold: float) -> list[Broader | None]:
        """The answer of each row ``[n, p]``; None where no group is sure.

        Args:
            probabilities: of the places, in posts that have no place.
            threshold: BROADER_THRESHOLD.
        """
        sums = self.sums(probabilities)
        found = zip(self.choose(sums, threshold).tolist(), sums, strict=True)
        return [
            None
            if number < 0
            else Broader(self.groups[number].level, self.groups[number].name, float(of_groups[number]))
            for number, of_groups in found
        ]


def _least(group: Group, places: int) -> float:
    """The smallest sum that tells `LEAST_BITS`; above 1 where no sum does.

    A sum s of a group with the share q of all places tells s·log2(s/q) + (1-s)·log2((1-s)/(1-q)) bits (the relative
    entropy of the two). Synonyms are one place: it is no matter how many names it has.
    """
    share = len(group.members) / places
    if group.level == "synonyms":
        return 0.0
    if -math.log2(share) < LEAST_BITS:
        return 2.0
    low, high = share, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        tells = middle * math.log2(middle / share) + (1 - middle) * math.log2((1 - middle) / (1 - share))
        low, high = (low, middle) if tells >= LEAST_BITS else (middle, high)
    return high
