"""What classifying one post yields: the place, how sure, and who decided."""

from dataclasses import dataclass
from typing import Literal


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
class Label:
    """The label of one post. All numbers are unrounded.

    Attributes:
        place: the deciding distribution's winner; None (not classified) exactly when confidence < threshold.
        confidence: the maximum of the deciding distribution, in [0, 1]; it stays when place is None.
        top: the best places of the deciding distribution, best first.
        decided_by: ``image`` when only the picture was used, else ``ensemble``.
        image: the picture's own winner.
        text: the caption's own winner; None when the caption was not encoded.
        language: of the caption, ISO 639-1; None without a caption, or where none is sure.
        sentiment: of an English caption, in [-1, 1]; None of others, and without a word of the lexicon.
        caption_use: whether the caption was encoded, skipped (the picture was enough) or none was there.
    """

    place: str | None
    confidence: float
    top: tuple[tuple[str, float], ...]
    decided_by: Literal["image", "ensemble"]
    image: Ranking
    text: Ranking | None
    language: str | None
    sentiment: float | None
    caption_use: Literal["encoded", "skipped", "none"]
