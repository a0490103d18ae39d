"""Broader answers: how many posts without a place gain one, and how many of these are right, per threshold."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from consumer.classify.broader import BroaderAnswers
from consumer.classify.decision import classifies
from consumer.classify.places import LEVELS, Group
from consumer.evaluate.marks.truth import RIGHT, UNJUDGED, WRONG, Truth
from consumer.evaluate.scores.decide import Ensemble, distributions
from consumer.evaluate.scores.folder import ScoreInfo
from consumer.evaluate.scores.parts import ScorePart
from consumer.evaluate.stats.intervals import Bootstrap, Strata, share, share_interval
from consumer.evaluate.stats.measure import Measure
from consumer.evaluate.stats.stacking import stacked

BROADER = (
    "measure",
    "ensemble",
    "level",
    "weighting",
    "threshold",
    "broader_threshold",
    "not_classified",
    "gained",
    "correct",
    "incorrect",
    "unjudged",
    "judged",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "ci_low",
    "ci_high",
)
"""Columns of broader.csv, one row per ``broader_threshold``; ``threshold`` is the normalised one of places.

``level`` is empty for the answers of all levels. ``gained`` is the share of the posts without a place that have a
broader answer of the level. An answer is correct if any place below it was marked right, or is true; incorrect only if
the truth is known, or the picture shows no place; else unjudged. The rest is as in curves.csv.
"""


def verdicts(groups: Sequence[Group], info: ScoreInfo, truth: Truth) -> NDArray[np.int8]:
    """`RIGHT`, `WRONG` or `UNJUDGED` for each group, ``[n, g]``."""
    column = {category: number for number, category in enumerate(info.categories)}
    is_right = truth.verdicts == RIGHT
    known = np.array([bool(post.truth or post.no_place) and not post.cannot_tell for post in truth.posts])
    found = np.empty((len(truth.posts), len(groups)), np.int8)
    for number, group in enumerate(groups):
        right = is_right[:, [column[member] for member in group.members]].any(axis=1)
        found[:, number] = np.where(right, RIGHT, np.where(known, WRONG, UNJUDGED))
    return found


def table(
    ensembles: Sequence[Ensemble],
    part: ScorePart,
    info: ScoreInfo,
    truth: Truth,
    strata: Strata,
    bootstrap: Bootstrap,
    measure: Measure,
    threshold: float,
    grid: NDArray[np.float64],
) -> pd.DataFrame:
    """The rows of `BROADER`; none of a label set without groups.

    Args:
        ensembles: each decides.
        part: the scores of the sample.
        info: of the same.
        truth: about the sample.
        strata: how the posts were drawn.
        bootstrap: the rounds that all share.
        measure: what a right answer is called.
        threshold: normalised, below which a post has no place.
        grid: thresholds of groups; those below ``threshold`` are left out.
    """
    if not info.groups:
        return stacked([], BROADER)
    answers, of_groups = BroaderAnswers(info.groups, info.categories), verdicts(info.groups, info, truth)
    of_level = np.array([LEVELS.index(group.level) for group in info.groups])
    grid, rows, blocks = grid[grid >= threshold], np.arange(len(part)), []
    for ensemble in ensembles:
        deciding, _ = distributions(ensemble, part, info)
        highest = deciding.max(axis=1)
        missed = np.isfinite(highest) & ~classifies(highest, threshold)
        chosen = np.full((len(part), len(grid)), -1)
        if missed.any():
            sums = answers.sums(deciding[missed])
            chosen[missed] = np.stack([answers.choose(sums, each) for each in grid], axis=1)
        verdict = of_groups[rows[:, None], chosen]
        for level in ("", *LEVELS):
            given = chosen >= 0
            if level:
                given &= of_level[chosen] == LEVELS.index(level)
            known = given & (verdict != UNJUDGED)
            right = known & (verdict == RIGHT)
            for weighting in strata.weightings:
                weights = strata.weights(weighting)
                correct, incorrect, unjudged = (weights @ each for each in (right, known & ~right, given & ~known))
                _, low, high = share_interval(bootstrap, weights, right, known)
                all_given, all_missed = correct + incorrect + unjudged, np.full(len(grid), weights @ missed)
                blocks.append(
                    {
                        "measure": measure,
                        "ensemble": ensemble.name,
                        "level": level,
                        "weighting": weighting,
                        "threshold": np.full(len(grid), threshold),
                        "broader_threshold": grid,
                        "not_classified": all_missed,
                        "gained": share(all_given, all_missed),
                        "correct": correct,
                        "incorrect": incorrect,
                        "unjudged": unjudged,
                        "judged": ((weights > 0) @ known.astype(np.int64)),
                        "accuracy": share(correct, correct + incorrect),
                        "accuracy_low": share(correct, all_given),
                        "accuracy_high": share(correct + unjudged, all_given),
                        "ci_low": low,
                        "ci_high": high,
                    }
                )
    return stacked(blocks, BROADER)
