"""What classifying one post yields: the place, how sure, and who decided."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from consumer.classify.places import Level


@dataclass(frozen=True, slots=True)
class Ranking:
    """One distribution's own winner.

    Attributes:
        place: the category with the highest probability; never null.
        confidence: that probability, unrounded.
        top: the best (category, probability) pairs, best first, five unless asked otherwise.
    """

    place: str
    confidence: float
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Broader:
    """The answer where no place reaches the threshold.

    Attributes:
        level: of the group.
        name: of the group.
        confidence: summed probability of its places in the deciding distribution, unrounded.
    """

    level: Level
    name: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Vectors:
    """What a model made of one post: all that a label needs of it.

    Attributes:
        image: of the picture, of unit length, ``[d]``.
        text: of the caption, likewise; None: there is none, or it was not encoded.
        descriptor: what tells pictures apart best, of unit length, ``[k]``; None: `image` does.
    """

    image: NDArray[np.float32]
    text: NDArray[np.float32] | None
    descriptor: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class Label:
    """The label of one post. All numbers are unrounded.

    Attributes:
        place: the deciding distribution's winner; None (not classified) exactly when confidence < threshold.
        confidence: the maximum of the deciding distribution, in [0, 1]; it stays when place is None.
        top: the best places of the deciding distribution, best first.
        decided_by: ``image`` when only the picture was used, else ``ensemble``.
        image: the picture's own winner.
        text: the caption's own winner; None when the caption did not count.
        broader: the group of places that the post surely shows; None when place is set, or no group is sure.
        language: of the caption, ISO 639-1; None without a caption, or where none is sure.
        sentiment: of an English caption, in [-1, 1]; None of others, and without a word of the lexicon.
        caption_use: whether the caption was encoded, skipped (the picture was enough) or none was there.
        vectors: that it follows from; None where no model made any.
    """

    place: str | None
    confidence: float
    top: tuple[tuple[str, float], ...]
    decided_by: Literal["image", "ensemble"]
    image: Ranking
    text: Ranking | None
    broader: Broader | None = None
    language: str | None = None
    sentiment: float | None = None
    caption_use: Literal["encoded", "skipped", "none"] = "none"
    vectors: Vectors | None = None
