"""Whether probability is diluted over labels that mean nearly the same: clusters against their best label."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from consumer.classify.decision import classifies, winner
from consumer.evaluate.scores.decide import Ensemble, distributions
from consumer.evaluate.scores.folder import ScoreInfo
from consumer.evaluate.scores.parts import ScorePart

DILUTION = (
    "ensemble",
    "cluster",
    "threshold",
    "posts",
    "label_probability",
    "cluster_probability",
    "not_classified",
    "would_classify",
)
"""Columns of dilution.csv, over every scored post, no marks needed.

A row with a ``cluster`` (its categories, joined by ``|``) is of the posts whose likeliest cluster it is, a label
without synonyms being one of its own; the row with an empty one is of all posts that the ensemble decides.
``label_probability`` and ``cluster_probability`` are means of the cluster's best label and of the whole cluster.
``not_classified`` are those in which no label reaches the normalised ``threshold``, ``would_classify`` those of them in
which the cluster does.
"""


def dilution(
    parts: Iterable[ScorePart], info: ScoreInfo, ensembles: Sequence[Ensemble], threshold: float
) -> pd.DataFrame:
    """Go through scores, a part at a time: any number of posts fits.

    Args:
        parts: of a score folder.
        info: of the same; without clusters the table is empty.
        ensembles: each is looked at.
        threshold: normalised, below which a post is not classified.
    """
    totals: dict[str, NDArray[np.float64]] = {}
    for part in parts if info.synonyms else ():
        for ensemble in ensembles:
            deciding, _ = distributions(ensemble, part, info)
            found = of_part(deciding[np.isfinite(deciding[:, 0])], info, threshold)
            totals[ensemble.name] = totals.get(ensemble.name, 0) + found
    names = ["|".join(cluster) for cluster in info.synonyms]
    rows = []
    for ensemble_name, total in totals.items():
        rows.append((ensemble_name, "", threshold, *_row(total.sum(axis=1))))
        rows += [(ensemble_name, name, threshold, *_row(of)) for name, of in zip(names, total.T, strict=False)]
    return pd.DataFrame(rows, columns=list(DILUTION))


def of_part(distributions: NDArray[np.float64], info: ScoreInfo, threshold: float) -> NDArray[np.float64]:
    """Find every post's likeliest cluster, ``[m, P]`` probabilities given.

    Returns:
        ``[5, c]``: posts, sums of the two probabilities, not classified, would classify, as the columns are called,
        for each cluster; the last is of labels without synonyms.
    """
    column = {category: number for number, category in enumerate(info.categories)}
    members = [np.array([column[category] for category in cluster]) for cluster in info.synonyms]
    alone = np.setdiff1d(np.arange(len(column)), np.concatenate(members))
    sums = [distributions[:, each].sum(axis=1) for each in members]
    best = [distributions[:, each].max(axis=1) for each in members]
    lone = distributions[:, alone].max(axis=1, initial=0.0)
    cluster, label = np.stack([*sums, lone], axis=1), np.stack([*best, lone], axis=1)
    likeliest, rows = winner(cluster)[0], np.arange(len(cluster))
    missed = ~classifies(distributions.max(axis=1, initial=0.0), threshold)
    found = missed & classifies(cluster[rows, likeliest], threshold)
    sums_of = np.ones(len(rows)), label[rows, likeliest], cluster[rows, likeliest], missed, found
    return np.stack([np.bincount(likeliest, each, cluster.shape[1]) for each in sums_of])


def _row(total: NDArray[np.float64]) -> tuple[int, float, float, int, int]:
    posts, label, cluster, missed, found = total.tolist()
    means = (label / posts, cluster / posts) if posts else (np.nan, np.nan)
    return int(posts), *means, int(missed), int(found)
