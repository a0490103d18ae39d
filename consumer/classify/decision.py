"""How picture and caption decide: the ensembles, the gate, the threshold, and what rounding may not change."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Self, cast, get_args

import numpy as np
from numpy.typing import NDArray

EnsembleKind = Literal["only-image", "ensemble", "conditional"]
WEIGHTS = (0.8, 0.8)
"""Of the picture's and the caption's probabilities, unless set otherwise."""
GATE = 0.6
"""The confidence above which ``conditional`` needs no caption, unless set otherwise."""
BROADER = 0.6
"""The summed probability from which a group of places is the answer, unless set otherwise."""
Numbers = float | NDArray[np.float64]

LEVEL = 1e-9
"""Numbers that differ by no more than this share of them are level. How a matrix product is rounded depends on the CPU,
its libraries and the number of posts in the batch (about 1e-14 of a probability); a label must not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The settings that decide a label, and the rules that apply them.

    Attributes:
        ensemble: ``only-image``: the picture; ``ensemble``: both, wherever there is a caption;
            ``conditional``: the picture alone where its confidence exceeds the gate, else both.
        weights: of the picture's and the caption's probabilities; not negative, with a positive sum.
        gate: the confidence above which ``conditional`` needs no caption.
        threshold: below this confidence a post is not classified.
        broader_threshold: then a group of places with this summed probability is the answer; None: no group ever is.
    """

    ensemble: EnsembleKind = "conditional"
    weights: tuple[float, float] = WEIGHTS
    gate: float = GATE
    threshold: float
    broader_threshold: float | None = None

    def __str__(self) -> str:
        """Its name in the counters' stamps: ``conditional weights=0.8/0.8 gate=0.6 threshold=0.3 broader=0.6``."""
        weights = "/".join(f"{weight:g}" for weight in self.weights)
        broader = "" if self.broader_threshold is None else f" broader={self.broader_threshold:g}"
        return f"{self.ensemble} weights={weights} gate={self.gate:g} threshold={self.threshold:g}{broader}"

    @classmethod
    def parse(cls, name: str) -> Self:
        """The decision of this name.

        Raises:
            ValueError: the name is of no decision that this version knows.
        """
        kinds = "|".join(get_args(EnsembleKind))
        found = re.fullmatch(rf"({kinds}) weights=(\S+)/(\S+) gate=(\S+) threshold=(\S+)(?: broader=(\S+))?", name)
        if found is None:
            raise ValueError(f"{name!r} is no decision")
        kind, *numbers, broader = found.groups()
        of_image, of_text, gate, threshold = map(float, numbers)
        return cls(
            ensemble=cast(EnsembleKind, kind),
            weights=(of_image, of_text),
            gate=gate,
            threshold=threshold,
            broader_threshold=None if broader is None else float(broader),
        )

    def needs_no_caption(self, image_confidence: Numbers) -> NDArray[np.bool_]:
        """Whether a picture with such a confidence decides alone, even if there is a caption."""
        if self.ensemble == "conditional":
            return is_sure(image_confidence, self.gate)
        return np.full(np.shape(image_confidence), self.ensemble == "only-image")

    def classifies(self, confidence: Numbers) -> NDArray[np.bool_]:
        """Whether a post with such a confidence is given its place."""
        return classifies(confidence, self.threshold)

    def combine(self, image: NDArray[np.float64], text: NDArray[np.float64]) -> NDArray[np.float64]:
        """The weighted mean of two distributions over places, ``[..., p]``.

        Dividing by the sum of the weights keeps the confidence in [0, 1] and the winner unchanged.
        """
        of_image, of_text = self.weights
        return (of_image * image + of_text * text) / (of_image + of_text)


def classifies(confidence: Numbers, threshold: Numbers) -> NDArray[np.bool_]:
    """The rule of the threshold: a confidence that reaches it gives a post its place. Both are broadcast."""
    return reaches(confidence, threshold)


def is_sure(image_confidence: Numbers, gate: Numbers) -> NDArray[np.bool_]:
    """The rule of the gate: a picture whose confidence is above it needs no caption. Both are broadcast."""
    return np.asarray(image_confidence > np.multiply(gate, 1 + LEVEL))


def reaches(number: Numbers, least: Numbers) -> NDArray[np.bool_]:
    """Whether numbers are at least others, or level with them; NaN is not. Both are broadcast."""
    return np.asarray(number >= np.multiply(least, 1 - LEVEL))


def winner(probabilities: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The likeliest place of each row ``[n, p]`` and its probability, ``[n]`` each.

    Of places that are level the first of the label set wins; its probability is the highest of theirs.
    """
    highest = probabilities.max(axis=1)
    return reaches(probabilities, highest[:, None]).argmax(axis=1), highest


def ranked(probabilities: NDArray[np.float64], top: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
    """The ``top`` likeliest places of each row ``[n, p]``, rank after rank: the `winner`, then that of the rest."""
    left, rows = probabilities.copy(), np.arange(len(probabilities))
    for _ in range(top):
        place, probability = winner(left)
        yield place, probability
        left[rows, place] = -1.0


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities over places of logits ``[n, p]``; each row sums to 1.

    Of zero-shot classification these are scale · cosine, the scale being the inverse temperature (Radford et al. 2021,
    section 3.1.2).
    """
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
