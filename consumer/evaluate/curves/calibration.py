"""Whether a confidence means what it says: reliability by bins, and the expected calibration error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from consumer.evaluate.marks.truth import Judged
from consumer.evaluate.samples.enough import LEAST
from consumer.evaluate.stats.intervals import Bootstrap, Strata, percentiles, share, share_interval
from consumer.evaluate.stats.measure import Measure
from consumer.evaluate.stats.stacking import stacked

BINS = 15
"""At most."""

RELIABILITY = (
    "measure",
    "ensemble",
    "group",
    "weighting",
    "bin",
    "posts",
    "weight",
    "confidence",
    "accuracy",
    "ci_low",
    "ci_high",
)
"""Columns of reliability.csv: bins of equally many judged posts (10 at least) by normalised confidence.

``posts`` are counted, ``weight`` is the bin's share of all as the posts are weighted; ``confidence`` and ``accuracy``
are weighted means.
"""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The expected calibration error: the bins' gaps between confidence and accuracy, weighted by their share.

    Attributes:
        ece: Naeini, Cooper and Hauskrecht 2015, with bins of equally many posts (Nguyen and O'Connor 2015).
        low, high: percentile bootstrap. The error is never negative, so noise alone lifts it. Not a number where all
            labels are right, or none: the rounds see no spread there but that of the confidences.
        posts: decided and judged.
    """

    ensemble: str
    group: str
    weighting: str
    ece: float
    low: float
    high: float
    posts: int


def reliability(
    answers: Sequence[Judged],
    strata: Strata,
    bootstrap: Bootstrap,
    measure: Measure,
    groups: Mapping[str, NDArray[np.bool_]],
) -> tuple[pd.DataFrame, list[Calibration]]:
    """Reliability diagrams and calibration errors of every ensemble, group and weighting."""
    blocks: list[dict[str, Any]] = []
    errors: list[Calibration] = []
    for judged in answers:
        for group, inside in groups.items():
            usable = inside & judged.known & np.isfinite(judged.confidence)
            if not usable.any():
                continue
            bins = equal_bins(judged.confidence, usable)
            for weighting in strata.weightings:
                weights = strata.weights(weighting)
                names = {"measure": measure, "ensemble": judged.ensemble.name, "group": group, "weighting": weighting}
                blocks.append(_diagram(judged, bins, weights, bootstrap) | names)
                error = calibration_error(judged, bins, weights, bootstrap)
                errors.append(Calibration(judged.ensemble.name, group, weighting, *error, int(usable.sum())))
    return stacked(blocks, RELIABILITY), errors


def equal_bins(confidence: NDArray[np.float64], usable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which bin each usable post is in, ``[n, bins]``: cut at quantiles, so that ties stay together.

    There are `BINS`, or fewer, so that each has `LEAST` posts.

    As `sklearn.calibration.calibration_curve` does with ``strategy="quantile"``, which takes no weights.
    """
    bins = min(BINS, max(1, int(usable.sum()) // LEAST))
    edges = np.percentile(confidence[usable], np.linspace(0, 1, bins + 1) * 100)[1:-1]
    number = np.searchsorted(edges, confidence)
    return np.asarray((number[:, None] == np.arange(bins)) & usable[:, None])


def calibration_error(
    judged: Judged, bins: NDArray[np.bool_], weights: NDArray[np.float64], bootstrap: Bootstrap
) -> tuple[float, float, float]:
    """The error and its interval: the bins' gaps are absolute sums of weight · (confidence - right)."""
    gaps = np.where(bins, (judged.confidence - judged.right)[:, None], 0.0)
    found = float(np.abs(weights @ gaps).sum() / (weights @ bins).sum())
    with np.errstate(invalid="ignore"):  # of few posts, a round may draw none that can be used: it is no number then
        rounds = np.abs(bootstrap.sums(weights, gaps)).sum(axis=1) / bootstrap.sums(weights, bins).sum(axis=1)
    low, high = percentiles(rounds)
    if len(np.unique(judged.right[bins.any(axis=1)])) < 2:
        return found, np.nan, np.nan
    return found, float(low), float(high)


def _diagram(
    judged: Judged, bins: NDArray[np.bool_], weights: NDArray[np.float64], bootstrap: Bootstrap
) -> dict[str, Any]:
    """The bins that have posts: with ties some have none."""
    filled = bins[:, bins.any(axis=0)]
    confident = np.where(filled, judged.confidence[:, None], 0.0)
    accuracy, low, high = share_interval(bootstrap, weights, filled & judged.right[:, None], filled)
    mass = weights @ filled
    return {
        "bin": np.flatnonzero(bins.any(axis=0)) + 1,
        "posts": filled.sum(axis=0),
        "weight": mass / mass.sum(),
        "confidence": share(weights @ confident, mass),
        "accuracy": accuracy,
        "ci_low": low,
        "ci_high": high,
    }
