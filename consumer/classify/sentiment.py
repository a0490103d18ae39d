"""The mood of a caption, by VADER (Hutto & Gilbert 2014): a lexicon and rules made for social media."""

from functools import cache
from itertools import accumulate

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from consumer.classify.captions import readable

MAX_EXPANDED = 4_400
"""VADER writes an emoji out ("face with tears of joy") and is quadratic in words: 2,200 emoji would take 7 seconds.
So it sees as many characters of the caption as make 4,400 when written out; only hundreds of emoji reach that."""


def sentiment(caption: str | None) -> float | None:
    """VADER's compound score of a caption's first 2,200 characters, in [-1, 1].

    Returns:
        None without a caption, or when no word of it is in the lexicon (VADER's pos and neg are both 0).
    """
    text = readable(caption)
    if text is None:
        return None
    scores = _analyzer().polarity_scores(_bounded(text))
    if scores["pos"] == 0 and scores["neg"] == 0:
        return None
    return float(scores["compound"])


@cache
def _analyzer() -> SentimentIntensityAnalyzer:
    return SentimentIntensityAnalyzer()


def _bounded(text: str) -> str:
    emojis = _analyzer().emojis
    lengths = accumulate(len(emojis[character]) + 1 if character in emojis else 1 for character in text)
    return text[: sum(length <= MAX_EXPANDED for length in lengths)]
