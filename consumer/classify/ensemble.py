"""The conditional ensemble: from similarities to probabilities, and from picture and caption to one decision."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Ensemble = Literal["only-image", "ensemble", "conditional"]
Numbers = float | NDArray[np.float64]

LEVEL = 1e-9
"""Numbers that differ by no more than this share of them are level. How a matrix product is rounded depends on the CPU,
its libraries and the number of posts in the batch (about 1e-14 of a probability); a label must not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """How picture and caption decide.

    Attributes:
        ensemble: ``only-image``: the picture; ``ensemble``: both, wherever there is a caption;
            ``conditional``: the picture alone where its confidence exceeds the gate, else both.
        weights: of the picture's and the caption's probabilities; not negative, with a positive sum.
        gate: the confidence above which ``conditional`` needs no caption.
        threshold: below this confidence a post is not classified.
    """

    ensemble: Ensemble = "conditional"
    weights: tuple[float, float] = (0.8, 0.8)
    gate: float = 0.6
    threshold: float

    def needs_no_caption(self, image_confidence: Numbers) -> NDArray[np.bool_]:
        """Whether a picture with such a confidence decides alone, even if there is a caption."""
        if self.ensemble == "conditional":
            return exceeds(image_confidence, self.gate)
        return np.full(np.shape(image_confidence), self.ensemble == "only-image")

    def classifies(self, confidence: Numbers) -> NDArray[np.bool_]:
        """Whether a place is given with such a confidence: one that reaches the threshold."""
        return reaches(confidence, self.threshold)

    def combine(self, image: NDArray[np.float64], text: NDArray[np.float64]) -> NDArray[np.float64]:
        """The weighted mean of two distributions over places, ``[..., p]``.

        Dividing by the sum of the weights keeps the confidence in [0, 1] and the winner unchanged.
        """
        of_image, of_text = self.weights
        return (of_image * image + of_text * text) / (of_image + of_text)


def reaches(confidence: Numbers, threshold: Numbers) -> NDArray[np.bool_]:
    """Whether confidences are at least a threshold, or level with it; NaN is not. Both are broadcast."""
    return np.asarray(confidence >= np.multiply(threshold, 1 - LEVEL))


def exceeds(confidence: Numbers, gate: Numbers) -> NDArray[np.bool_]:
    """Whether confidences are above a gate, and not level with it; NaN is not. Both are broadcast."""
    return np.asarray(confidence > np.multiply(gate, 1 + LEVEL))


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
