"""What a threshold does: how many labels are right, wrong or not given; and which threshold reaches what one wants."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from consumer.evaluate.marks.truth import Judged, Scale
from consumer.evaluate.samples.enough import LEAST
from consumer.evaluate.scores.decide import IMAGE, decide
from consumer.evaluate.scores.folder import ScoreInfo
from consumer.evaluate.scores.parts import ScorePart
from consumer.evaluate.scores.selection import rank
from consumer.evaluate.stats.intervals import Bootstrap, Strata, Weighting, share, share_interval, wilson
from consumer.evaluate.stats.measure import Measure
from consumer.evaluate.stats.stacking import stacked

CURVES = (
    "measure",
    "scale",
    "ensemble",
    "group",
    "stratum",
    "weighting",
    "threshold",
    "correct",
    "incorrect",
    "unjudged",
    "not_classified",
    "judged",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "ci_low",
    "ci_high",
    "recovered",
    "correct_to_incorrect",
)
"""Columns of curves.csv, one row per threshold.

A row with a ``stratum`` is of one class (in a sample of the whole dataset: of one label by the picture alone, and only
in the group of all posts), ``weighting`` is then empty, the four numbers are posts and the interval is Wilson's. One
without is of all classes: the four numbers are posts as they are weighted (their sum stays the number of posts of the
sample) and the interval is a bootstrap within strata. ``judged`` counts posts, whatever they weigh: the classified and
judged ones, of which the accuracy is. ``accuracy`` is the share of right ones among the classified and
judged; ``accuracy_low`` and ``accuracy_high`` take the unjudged for wrong and for right. Against pre-labels the file
calls the three agreement (`consumer.evaluate.stats.measure`). ``recovered`` is the share of posts that are classified.
"""

TOP1 = tuple(column for column in CURVES if column not in ("scale", "threshold"))
"""Columns of top1.csv: without a threshold; only what an ensemble cannot decide is not classified."""

CHOICE = (
    "measure",
    "ensemble",
    "weighting",
    "wanted",
    "value",
    "threshold",
    "chosen_on",
    "accuracy_there",
    "recovered_there",
    "reported_on",
    "accuracy",
    "ci_low",
    "ci_high",
    "recovered",
    "recovered_low",
    "recovered_high",
)
"""Columns of threshold_choice.csv.

``wanted`` (the measure or coverage) is at least ``value`` on one half of the sample, of ``chosen_on`` posts, at the
normalised ``threshold`` (empty: at none); everything from ``reported_on`` on is of the other half. The file calls
accuracy after the measure.
"""


def grid(top: float, step: float) -> NDArray[np.float64]:
    """Thresholds from 0 to ``top``, without the dust of adding floats."""
    return np.round(np.arange(round(top / step) + 1) * step, 10)


def table(
    answers: Sequence[Judged],
    strata: Strata,
    bootstrap: Bootstrap,
    measure: Measure,
    groups: Mapping[str, NDArray[np.bool_]],
    grids: Mapping[Scale, NDArray[np.float64]],
    classes: Strata | None = None,
) -> pd.DataFrame:
    """Curves of every ensemble, scale, group, class and weighting.

    Args:
        answers: of the ensembles.
        strata: how the posts were drawn.
        bootstrap: the rounds that all of them share.
        measure: what a right label is called.
        groups: name -> the posts that are in it, ``[n]``.
        grids: scale -> its thresholds.
        classes: of a sample without strata, as strata; they have rows in the group of all posts.
    """
    stack: list[dict[str, Any]] = []
    for scale, thresholds in grids.items():
        for judged in answers:
            kept = judged.classified(scale, thresholds)
            for group, inside in groups.items():
                apart = classes if classes is not None and inside.all() else strata
                blocks = list(_classes(judged, kept, inside, apart))
                for weighting in strata.weightings:
                    weights = strata.weights(weighting) * inside
                    blocks.append(_overall(judged, kept, weights, bootstrap) | {"weighting": weighting})
                names = {"scale": scale, "ensemble": judged.ensemble.name, "group": group, "measure": measure}
                stack += [{"threshold": thresholds, **block, **names} for block in blocks]
    return stacked(stack, CURVES)


def by_picture(part: ScorePart, info: ScoreInfo) -> Strata:
    """The classes of posts that were drawn from none: their labels by the picture alone, the most frequent first."""
    label, number, posts = np.unique(decide(IMAGE, part, info).label, return_inverse=True, return_counts=True)
    frequent = np.argsort(-posts, kind="stable")
    return Strata(
        tuple(info.categories[each] for each in label[frequent]),
        np.argsort(frequent)[number],
        posts[frequent].astype(np.float64),
    )


def without_threshold(curves: pd.DataFrame) -> pd.DataFrame:
    """The rows at the threshold 0, which keeps everything that is decided."""
    rows = curves[(curves["scale"] == "normalised") & (curves["threshold"] == 0)]
    return rows[list(TOP1)].reset_index(drop=True)


def _classes(
    judged: Judged, kept: NDArray[np.bool_], inside: NDArray[np.bool_], strata: Strata
) -> Iterator[dict[str, Any]]:
    counted = ((strata.of == np.arange(len(strata.names))[:, None]) & inside).astype(np.float64)
    numbers = [number for number, posts in enumerate(counted) if posts.any()]
    blocks = [_counts(judged, kept, counted[number]) for number in numbers]
    if blocks:
        right, wrong = (np.stack([block[name] for block in blocks]) for name in ("correct", "incorrect"))
        for number, block, low, high in zip(numbers, blocks, *wilson(right, right + wrong), strict=True):
            yield block | {"ci_low": low, "ci_high": high, "stratum": strata.names[number], "weighting": ""}


def _overall(
    judged: Judged, kept: NDArray[np.bool_], weights: NDArray[np.float64], bootstrap: Bootstrap
) -> dict[str, Any]:
    known = kept & judged.known[:, None]
    _, low, high = share_interval(bootstrap, weights, known & judged.right[:, None], known)
    return _counts(judged, kept, weights) | {"ci_low": low, "ci_high": high, "stratum": ""}


def _counts(judged: Judged, kept: NDArray[np.bool_], weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """What becomes of the posts at each threshold; ``kept`` is ``[n, thresholds]``."""
    known = judged.known
    what = np.stack([judged.right, known & ~judged.right, ~known]) * weights
    correct, incorrect, unjudged = what @ kept.astype(np.float64)
    everything, classified = weights.sum(), correct + incorrect + unjudged
    return {
        "correct": correct,
        "incorrect": incorrect,
        "unjudged": unjudged,
        "not_classified": np.maximum(everything - classified, 0),
        "judged": ((weights > 0) & known) @ kept.astype(np.int64),
        "accuracy": share(correct, correct + incorrect),
        "accuracy_low": share(correct, classified),
        "accuracy_high": share(correct + unjudged, classified),
        "recovered": classified / everything,
        "correct_to_incorrect": share(correct, incorrect),
    }


@dataclass(frozen=True, slots=True)
class Wish:
    """What a threshold is to reach: an accuracy (or agreement) of the classified, or a share that is classified."""

    wanted: Literal["accuracy", "coverage"]
    value: float


def choices(
    answers: Sequence[Judged],
    strata: Strata,
    post_ids: Sequence[str],
    bootstrap: Bootstrap,
    measure: Measure,
    wishes: Sequence[Wish],
    seed: int,
) -> pd.DataFrame:
    """The threshold for each wish, chosen on one half of the sample and reported on the other.

    The halves are drawn within the strata by the smallest sha256 of seed and post. For an accuracy it is the smallest
    threshold that reaches it with `LEAST` judged posts: the one that keeps most. For a coverage it is the largest.
    """
    first = halves(strata, post_ids, seed)
    rows = [
        _choose(judged, strata.weights(weighting), weighting, first, wish, bootstrap)
        | {"measure": measure, "wanted": measure if wish.wanted == "accuracy" else wish.wanted}
        for wish in wishes
        for judged in answers
        for weighting in strata.weightings
    ]
    return pd.DataFrame(rows, columns=list(CHOICE))


def halves(strata: Strata, post_ids: Sequence[str], seed: int) -> NDArray[np.bool_]:
    """Which posts are in the first half, ``[n]``: every other one of each stratum, in the order of their hashes."""
    first = np.zeros(len(post_ids), np.bool_)
    for stratum in range(len(strata.populations)):
        posts = np.flatnonzero(strata.of == stratum).tolist()
        first[sorted(posts, key=lambda post: rank(seed, post_ids[post]))[::2]] = True
    return first


def _choose(
    judged: Judged,
    weights: NDArray[np.float64],
    weighting: Weighting,
    first: NDArray[np.bool_],
    wish: Wish,
    bootstrap: Bootstrap,
) -> dict[str, object]:
    confidences = judged.confidence[first & np.isfinite(judged.confidence)]
    candidates = np.unique(np.floor(confidences * 1e4) / 1e4)  # four decimals, as a setting has them
    kept = judged.classified("normalised", candidates)
    of_first = _counts(judged, kept, weights * first)
    if wish.wanted == "accuracy":
        good = np.flatnonzero((of_first["judged"] >= LEAST) & (of_first["accuracy"] >= wish.value))[:1]
    else:
        good = np.flatnonzero(of_first["recovered"] >= wish.value)[-1:]
    row: dict[str, object] = {
        "ensemble": judged.ensemble.name,
        "weighting": weighting,
        "value": wish.value,
        "chosen_on": int(first.sum()),
        "reported_on": int((~first).sum()),
    }
    if not len(good):
        return row
    chosen = int(good[0])
    classified, on_second = kept[:, [chosen]], weights * ~first
    known = classified & judged.known[:, None]
    accuracy = share_interval(bootstrap, on_second, known & judged.right[:, None], known)
    recovered = share_interval(bootstrap, on_second, classified, np.ones_like(classified))
    return row | {
        "threshold": candidates[chosen],
        "accuracy_there": of_first["accuracy"][chosen],
        "recovered_there": of_first["recovered"][chosen],
        **dict(zip(("accuracy", "ci_low", "ci_high"), (float(each[0]) for each in accuracy), strict=True)),
        **dict(
            zip(("recovered", "recovered_low", "recovered_high"), (float(each[0]) for each in recovered), strict=True)
        ),
    }
