"""The conditional ensemble: from similarities to probabilities, and from picture and caption to one decision."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Ensemble = Literal["only-image", "ensemble", "conditional"]


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

    def needs_no_caption(self, image_confidence: float) -> bool:
        """Whether the picture decides alone, even if there is a caption."""
        if self.ensemble == "conditional":
            return image_confidence > self.gate
        return self.ensemble == "only-image"

    def combine(self, image: NDArray[np.float64], text: NDArray[np.float64]) -> NDArray[np.float64]:
        """The weighted mean of two distributions over places, ``[..., p]``.

        Dividing by the sum of the weights keeps the confidence in [0, 1] and the winner unchanged.
        """
        of_image, of_text = self.weights
        return (of_image * image + of_text * text) / (of_image + of_text)


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities over places of logits ``[n, p]``; each row sums to 1.

    Of zero-shot classification these are scale · cosine, the scale being the inverse temperature (Radford et al. 2021,
    section 3.1.2).
    """
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
