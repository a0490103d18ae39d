"""The mood of a caption, by VADER (Hutto & Gilbert 2014): an English lexicon, and rules made for social media."""

import html
import itertools
import re
import unicodedata
from functools import cache
from itertools import accumulate

from vaderSentiment.vaderSentiment import BOOSTER_DICT, NEGATE, SentimentIntensityAnalyzer

from consumer.classify.captions import readable

MAX_EXPANDED = 4_400
"""VADER writes an emoji out ("face with tears of joy") and is quadratic in words: 2,200 emoji would take 7 seconds.
So it sees as many characters of the caption as make 4,400 when written out; only hundreds of emoji reach that."""
_PLAIN = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201b\u02bc\u02b9\u2032\u00b4`", "'")  # the first two are every phone's apostrophe
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"')
    | dict.fromkeys("\u2010\u2011\u2212", "-")
    | dict.fromkeys("\u2012\u2013\u2014\u2015", " - ")  # they part words, as a hyphen does not
    | dict.fromkeys("\u00ad\u200b\u2060\ufeff")  # they have no width
)
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_RUN = re.compile(r"([^\W\d_])\1{2,}", re.IGNORECASE)
MOST_RUNS = 4
"""Of letters in a word: there are two ways to shorten each."""


def sentiment(caption: str | None) -> float | None:
    """VADER's compound score of a caption's first 2,200 characters, in [-1, 1].

    They are made `plain` first, for VADER knows a word only as its lexicon writes it. Of another language than English
    it finds words that mean something else ("die", "no"): whoever asks has looked at the `language`.

    Returns:
        None without a caption, or when no word of it is in the lexicon (VADER's pos and neg are both 0).
    """
    text = readable(caption)
    if text is None:
        return None
    scores = _analyzer().polarity_scores(_bounded(plain(text)))
    if scores["pos"] == 0 and scores["neg"] == 0:
        return None
    return float(scores["compound"])


def plain(text: str) -> str:
    """Text as a keyboard of 1990 types it: entities, quotes, dashes, full-width and bold letters, and lengthened words.

    Of a lengthened word ("loooove", "sooo") each run of letters becomes two or one, whichever gives a word that VADER
    knows; one that it does not know stays as it is.
    """
    text = unicodedata.normalize("NFKC", html.unescape(text).translate(_PLAIN))
    return _WORD.sub(_shortened, text) if _RUN.search(text) else text


def _shortened(word: re.Match[str]) -> str:
    runs = [run.span() for run in _RUN.finditer(word[0])]
    if not 0 < len(runs) <= MOST_RUNS or _is_known(word[0]):
        return word[0]
    for kept in itertools.product((2, 1), repeat=len(runs)):
        shorter, end = "", 0
        for (start, stop), letters in zip(runs, kept, strict=True):
            shorter, end = shorter + word[0][end : start + letters], stop
        if _is_known(shorter + word[0][end:]):
            return shorter + word[0][end:]
    return word[0]


def _is_known(word: str) -> bool:
    return (lower := word.lower()) in _analyzer().lexicon or lower in BOOSTER_DICT or lower in NEGATE


@cache
def _analyzer() -> SentimentIntensityAnalyzer:
    return SentimentIntensityAnalyzer()


def _bounded(text: str) -> str:
    emojis = _analyzer().emojis
    lengths = accumulate(len(emojis[character]) + 1 if character in emojis else 1 for character in text)
    return text[: sum(length <= MAX_EXPANDED for length in lengths)]
