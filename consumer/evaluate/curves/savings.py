"""How many captions the conditional ensemble never encodes: those of pictures that are sure."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from consumer.classify.decision import GATE, is_sure
from consumer.evaluate.scores.decide import image_probabilities
from consumer.evaluate.scores.folder import ScoreInfo
from consumer.evaluate.scores.parts import ScorePart

GATES = (0.3, 0.4, 0.5, GATE, 0.7, 0.8, 0.9)


@dataclass(frozen=True, slots=True)
class Saved:
    """At one gate.

    Attributes:
        posts: all scored ones.
        captions: those of them that have a caption.
        saved: captions of pictures whose confidence exceeds the gate.
    """

    gate: float
    posts: int
    captions: int
    saved: int


def savings(parts: Iterable[ScorePart], info: ScoreInfo, gates: tuple[float, ...] = GATES) -> list[Saved]:
    """Go through scores, a part at a time: any number of posts fits."""
    posts = captions = 0
    saved = np.zeros(len(gates), np.int64)
    for part in parts:
        sure = image_probabilities(part, info).max(axis=1)[part.has_caption]
        posts += len(part)
        captions += len(sure)
        saved += is_sure(sure[:, None], np.array(gates)).sum(axis=0)
    return [Saved(gate, posts, captions, int(count)) for gate, count in zip(gates, saved, strict=True)]
