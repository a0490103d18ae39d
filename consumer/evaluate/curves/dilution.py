"""Whether probability is diluted over labels that mean nearly the same: clusters against their best label."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True, eq=False)
class Diluted:
    """Sums over the posts seen so far, for each cluster ``[c]``; the last is of labels without synonyms."""

    posts: NDArray[np.int64]
    label: NDArray[np.float64]
    cluster: NDArray[np.float64]
    not_classified: NDArray[np.int64]
    would_classify: NDArray[np.int64]

    def __add__(self, other: "Diluted") -> "Diluted":
        return Diluted(
            self.posts + other.posts,
            self.label + other.label,
            self.cluster + other.cluster,
            self.not_classified + other.not_classified,
            self.would_classify + other.would_classify,
        )


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
    totals: dict[str, Diluted] = {}
    for part in parts if info.synonyms else ():
        for ensemble in ensembles:
            deciding, _ = distributions(ensemble, part, info)
            found = of_part(deciding[np.isfinite(deciding[:, 0])], info, threshold)
            totals[ensemble.name] = totals[ensemble.name] + found if ensemble.name in totals else found
    names = ["|".join(cluster) for cluster in info.synonyms]
    rows = []
    for ensemble_name, total in totals.items():
        rows.append((ensemble_name, "", threshold, *_row(total, slice(None))))
        rows += [(ensemble_name, name, threshold, *_row(total, slice(i, i + 1))) for i, name in enumerate(names)]
    return pd.DataFrame(rows, columns=list(DILUTION))


def of_part(distributions: NDArray[np.float64], info: ScoreInfo, threshold: float) -> Diluted:
    """Find every post's likeliest cluster, ``[m, P]`` probabilities given."""
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
    size = cluster.shape[1]
    return Diluted(
        np.bincount(likeliest, minlength=size),
        np.asarray(np.bincount(likeliest, label[rows, likeliest], size), np.float64),
        np.asarray(np.bincount(likeliest, cluster[rows, likeliest], size), np.float64),
        np.bincount(likeliest[missed], minlength=size),
        np.bincount(likeliest[found], minlength=size),
    )


def _row(total: Diluted, clusters: slice) -> tuple[int, float, float, int, int]:
    posts = int(total.posts[clusters].sum())
    label, cluster = (float(each[clusters].sum() / posts) if posts else np.nan for each in (total.label, total.cluster))
    return posts, label, cluster, int(total.not_classified[clusters].sum()), int(total.would_classify[clusters].sum())
