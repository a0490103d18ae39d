"""Does VADER say of English captions what a person says: the marked moods against the signs of its compound."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from consumer.classify.captions import ENGLISH
from consumer.classify.language import language
from consumer.classify.sentiment import sentiment
from consumer.evaluate.marks.agreement import kappa
from consumer.evaluate.marks.marks import MOODS, Mood, PostMarks

NEUTRAL = 0.05
"""Compounds closer to 0 are neutral (Hutto & Gilbert 2014)."""
ENOUGH = 30
"""Scored captions that an agreement must rest on."""
ROUNDS = 1_000
"""Of the bootstrap."""


@dataclass(frozen=True, slots=True)
class Moods:
    """How far VADER and a person agree.

    Attributes:
        marked: captions with a mark that are English.
        scored: those that VADER scores; the rest has no word of its lexicon, and no sentiment in a label.
        counts: the person's mood, then VADER's -> captions.
        agreement: share of the scored captions with the same mood; not a number below `ENOUGH`, like the next.
        kappa: Cohen's: 0 is chance, 1 agreement throughout; not a number either where all moods are the same.
        low, high: its 95 % interval, by bootstrap.
    """

    marked: int
    scored: int
    counts: Mapping[tuple[Mood, Mood], int]
    agreement: float
    kappa: float
    low: float
    high: float

    @property
    def enough(self) -> bool:
        """Whether there is an agreement to speak of."""
        return self.scored >= ENOUGH


def moods(posts: Sequence[PostMarks], captions: Mapping[str, str | None], seed: int) -> Moods:
    """Hold VADER against the marks.

    Args:
        posts: with their marks.
        captions: of the posts whose mood is marked.
        seed: of the bootstrap.
    """
    marked = [
        (post.post_id, post.mood, sentiment(captions[post.post_id]))
        for post in posts
        if post.mood is not None and language(captions[post.post_id]) == ENGLISH
    ]
    scored = [(post_id, mood, mood_of(compound)) for post_id, mood, compound in marked if compound is not None]
    pairs = [(by_person, by_vader) for _, by_person, by_vader in scored]
    numbers = (float("nan"),) * 4
    if len(scored) >= ENOUGH:
        numbers = kappa(pairs, [post_id for post_id, *_ in scored], MOODS, ROUNDS, seed)
    return Moods(len(marked), len(scored), Counter(pairs), *numbers)


def mood_of(compound: float) -> Mood:
    """What a compound says."""
    return "positive" if compound >= NEUTRAL else "negative" if compound <= -NEUTRAL else "neutral"
