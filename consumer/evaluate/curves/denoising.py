"""Whether a threshold sorts out pictures that show no place, and keeps those that do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from consumer.evaluate.marks.marks import PostMarks
from consumer.evaluate.marks.truth import Judged, Scale
from consumer.evaluate.stats.intervals import Bootstrap, Strata, percentiles, share, share_interval
from consumer.evaluate.stats.stacking import stacked

DENOISING = (
    "scale",
    "ensemble",
    "weighting",
    "threshold",
    "no_place",
    "places",
    "rejected",
    "rejected_low",
    "rejected_high",
    "kept",
    "kept_low",
    "kept_high",
)
"""Columns of denoising.csv.

``no_place`` and ``places`` count the pictures marked to show none, and the other marked ones whose marker could tell.
``rejected`` is the share of the former below the threshold, ``kept`` the share of the latter at or above it.
"""


@dataclass(frozen=True, slots=True)
class Separation:
    """How well a confidence tells places from no places: the chance that a place's is the higher one.

    Attributes:
        auroc: 0.5 is guessing.
        low, high: percentile bootstrap; not a number where the two do not overlap, for it sees no spread there.
    """

    scale: Scale
    ensemble: str
    weighting: str
    auroc: float
    low: float
    high: float
    no_place: int
    places: int


def denoising(
    answers: Sequence[Judged],
    posts: Sequence[PostMarks],
    strata: Strata,
    bootstrap: Bootstrap,
    grids: Mapping[Scale, NDArray[np.float64]],
) -> tuple[pd.DataFrame, list[Separation]]:
    """The shares per threshold, and the AUROC; both empty unless both kinds of pictures were marked.

    A post that an ensemble cannot decide is rejected at every threshold.
    """
    nothing = np.array([post.no_place and not post.cannot_tell for post in posts])
    places = np.array([not (post.unmarked or post.no_place or post.cannot_tell) for post in posts])
    blocks: list[dict[str, Any]] = []
    separations: list[Separation] = []
    if nothing.any() and places.any():
        for scale, thresholds in grids.items():
            for judged in answers:
                scores = np.nan_to_num(judged.on(scale), nan=-1.0)
                kept, at = judged.classified(scale, thresholds), {"threshold": thresholds}
                for weighting in strata.weightings:
                    weights = strata.weights(weighting)
                    names = {"scale": scale, "ensemble": judged.ensemble.name, "weighting": weighting}
                    blocks.append(_shares(kept, nothing, places, weights, bootstrap) | at | names)
                    found = auroc(scores, nothing, places, weights, bootstrap)
                    counts = int(nothing.sum()), int(places.sum())
                    separations.append(Separation(scale, judged.ensemble.name, weighting, *found, *counts))
    return stacked(blocks, DENOISING), separations


def auroc(
    scores: NDArray[np.float64],
    nothing: NDArray[np.bool_],
    places: NDArray[np.bool_],
    weights: NDArray[np.float64],
    bootstrap: Bootstrap,
) -> tuple[float, float, float]:
    """The area under the ROC curve, by scikit-learn, and its interval.

    The rounds compute it as the weighted share of pairs in which the place scores higher (Hanley and McNeil 1982).
    """
    marked = nothing | places
    found = roc_auc_score(places[marked], scores[marked], sample_weight=weights[marked])
    gap = scores[places][:, None] - scores[nothing]
    higher = (gap > 0) + 0.5 * (gap == 0)
    of_places, of_nothing = (bootstrap.drawn[:, each] * weights[each] for each in (places, nothing))
    rounds = share(((of_places @ higher) * of_nothing).sum(axis=1), of_places.sum(axis=1) * of_nothing.sum(axis=1))
    low, high = percentiles(rounds)
    if np.isclose(found, 0) or np.isclose(found, 1):  # the two kinds do not overlap at all: the rounds see no spread
        return float(found), np.nan, np.nan
    return float(found), float(low), float(high)


def _shares(
    kept: NDArray[np.bool_],
    nothing: NDArray[np.bool_],
    places: NDArray[np.bool_],
    weights: NDArray[np.float64],
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    of_nothing = np.broadcast_to(nothing[:, None], kept.shape)
    of_places = np.broadcast_to(places[:, None], kept.shape)
    rejected = share_interval(bootstrap, weights, of_nothing & ~kept, of_nothing)
    places_kept = share_interval(bootstrap, weights, of_places & kept, of_places)
    columns = ("rejected", "rejected_low", "rejected_high", "kept", "kept_low", "kept_high")
    shares = dict(zip(columns, (*rejected, *places_kept), strict=True))
    counts = {"no_place": int(nothing.sum()), "places": int(places.sum())}
    return {**shares, **counts}
