"""How often the most confident are wrong: accuracy at equal coverage, and the area under the risk-coverage curve."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from consumer.classify.decision import reaches
from consumer.evaluate.marks.truth import Judged
from consumer.evaluate.stats.intervals import Bootstrap, Strata, percentiles, share, wilson
from consumer.evaluate.stats.measure import Measure
from consumer.evaluate.stats.stacking import stacked

COVERAGE = (
    "measure",
    "ensemble",
    "group",
    "weighting",
    "coverage",
    "judged",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "ci_low",
    "ci_high",
)
"""Columns of coverage.csv.

Of the most confident posts (normalised confidence), as many as make up ``coverage`` of all of the group's; the accuracy
of the ``judged`` ones among them, which are counted whatever they weigh. The last post, or the last equally confident
ones, count in part. Empty where an ensemble decides fewer posts than that. Where all are right, or all wrong, the
interval is at least Wilson's of the effective number of posts. The risk is 1 - accuracy. In the file the columns bear
the measure's name (`evaluate.measure`).
"""

RISK = (
    "measure",
    "ensemble",
    "group",
    "weighting",
    "posts",
    "aurc",
    "ci_low",
    "ci_high",
    "aurc_low",
    "aurc_high",
    "optimum",
    "excess_aurc",
    "risk",
)
"""Columns of risk.csv.

``aurc`` is of the ``posts`` that are decided and judged, with its bootstrap interval (none where all of them are right,
or all wrong: the rounds see no spread there); ``aurc_low`` and ``aurc_high``
take the unjudged for right and for wrong. ``optimum`` is what the same labels would have if every right one were more
confident than every wrong one, ``excess_aurc`` what is above it, ``risk`` the share of wrong ones at full coverage.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Posts by falling confidence.

    Attributes:
        order: the posts, ``[m]``.
        starts: where in it each group of equally confident ones begins, ``[g]``.
        tie: the group of each, ``[m]``.
    """

    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    tie: NDArray[np.int64]

    @classmethod
    def by(cls, confidence: NDArray[np.float64], inside: NDArray[np.bool_]) -> "Ranking":
        """Rank the posts inside that have a confidence."""
        posts = np.flatnonzero(inside & np.isfinite(confidence))
        order = posts[np.argsort(-confidence[posts], kind="stable")]
        ranked = confidence[order]
        new = np.concatenate([[True], ~reaches(ranked[1:], ranked[:-1])]) if len(order) else np.zeros(0, np.bool_)
        return cls(order, np.flatnonzero(new), np.cumsum(new) - 1)

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums of ``[…, n]`` over the groups of equally confident posts: ``[…, g]``."""
        return np.asarray(np.add.reduceat(values[..., self.order], self.starts, axis=-1))


def coverage_table(
    answers: Sequence[Judged],
    strata: Strata,
    bootstrap: Bootstrap,
    measure: Measure,
    groups: Mapping[str, NDArray[np.bool_]],
    coverages: NDArray[np.float64],
) -> pd.DataFrame:
    """All ensembles at the same coverages, which no scale of confidences can distort."""
    blocks: list[dict[str, Any]] = []
    for judged in answers:
        for group, inside in groups.items():
            for weighting in strata.weightings:
                weights = strata.weights(weighting) * inside
                found = at_coverage(judged, coverages, weights)
                rounds = bootstrap.each(partial(at_coverage, judged, coverages), weights)
                low, high = percentiles(rounds[:, 0])
                effective = effective_at(judged, coverages, weights)
                # Where all are right, or all wrong, the bootstrap sees little spread, or none.
                flat = np.isclose(found[0], 0) | np.isclose(found[0], 1)
                least, most = wilson(found[0, flat].round() * effective[flat], effective[flat])
                low[flat], high[flat] = np.fmin(low[flat], least), np.fmax(high[flat], most)
                numbers = dict(zip(("accuracy", "accuracy_low", "accuracy_high"), found, strict=True))
                names = {"ensemble": judged.ensemble.name, "group": group, "weighting": weighting}
                known = judged_at(judged, coverages, weights)
                intervals = {"measure": measure, "judged": known, "ci_low": low, "ci_high": high}
                blocks.append({"coverage": coverages, **numbers, **intervals, **names})
    return stacked(blocks, COVERAGE)


def at_coverage(judged: Judged, coverages: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Accuracy of the most confident share of the posts, and its bounds with the unjudged as wrong and as right.

    Args:
        judged: an ensemble's labels.
        coverages: shares of all the weight, ``[c]``.
        weights: of the posts, ``[…, n]``; those with 0 are left out.

    Returns:
        ``[…, 3, c]``; not a number where fewer are decided or none is judged.
    """
    counted = np.asarray(np.atleast_2d(weights > 0).any(axis=0), np.bool_)
    ranking = Ranking.by(judged.confidence, counted)
    if not len(ranking.order):
        return np.full((*weights.shape[:-1], 3, len(coverages)), np.nan)
    covered, right, known = (
        _rising(ranking.sums(weights * each)) for each in (np.array(1.0), judged.right, judged.known)
    )
    wanted = weights.sum(axis=-1, keepdims=True) * coverages
    most = covered[..., -1:]
    wanted = np.where(wanted <= most * (1 + 1e-9), np.minimum(wanted, most), np.nan)
    of_right, of_known = _interpolate(wanted, covered, right), _interpolate(wanted, covered, known)
    bounds = share(of_right, wanted), share(of_right + wanted - of_known, wanted)
    return np.stack([share(of_right, of_known), *bounds], axis=-2)


def judged_at(judged: Judged, coverages: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many of the most confident share of the posts were judged, the last ones in part, ``[c]``."""
    ranking = Ranking.by(judged.confidence, weights > 0)
    if not len(ranking.order):
        return np.zeros(len(coverages))
    every, known = (_rising(ranking.sums(each)) for each in (weights, judged.known.astype(np.float64)))
    return np.asarray(np.interp(np.minimum(weights.sum() * coverages, every[-1]), every, known))


def effective_at(judged: Judged, coverages: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The effective number (`intervals.effective_number`) of the judged among the most confident share, ``[c]``."""
    ranking = Ranking.by(judged.confidence, weights > 0)
    if not len(ranking.order):
        return np.full(len(coverages), np.nan)
    every, known, squares = (
        _rising(ranking.sums(each)) for each in (weights, weights * judged.known, weights**2 * judged.known)
    )
    wanted = np.minimum(weights.sum() * coverages, every[-1])
    return share(np.interp(wanted, every, known) ** 2, np.interp(wanted, every, squares))


def _rising(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of the first 0, 1, 2 … groups."""
    return np.concatenate([np.zeros((*sums.shape[:-1], 1)), sums.cumsum(axis=-1)], axis=-1)


def _interpolate(
    wanted: NDArray[np.float64], covered: NDArray[np.float64], found: NDArray[np.float64]
) -> NDArray[np.float64]:
    """`np.interp` along the last axis of each."""
    if wanted.ndim == 1:
        return np.asarray(np.interp(wanted, covered, found))
    return np.stack([np.interp(*each) for each in zip(wanted, covered, found, strict=True)])


def risk_table(
    answers: Sequence[Judged],
    strata: Strata,
    bootstrap: Bootstrap,
    measure: Measure,
    groups: Mapping[str, NDArray[np.bool_]],
) -> pd.DataFrame:
    """AURC of every ensemble, group and weighting."""
    rows = []
    ones = np.ones(len(strata.of))
    for judged in answers:
        wrong = (judged.known & ~judged.right).astype(np.float64)
        for group, inside in groups.items():
            ranking = Ranking.by(judged.confidence, inside & judged.known)
            everyone = Ranking.by(judged.confidence, inside)
            best = Ranking.by(np.where(np.isfinite(judged.confidence), 1 - wrong, np.nan), inside & judged.known)
            for weighting in strata.weightings:
                weights = strata.weights(weighting)
                found, optimum = aurc(ranking, wrong, weights)[0], aurc(best, wrong, weights)[0]
                low, high = percentiles(bootstrap.each(partial(aurc, ranking, wrong, weights), ones))
                if len(np.unique(wrong[ranking.order])) < 2:
                    low, high = np.full(2, np.nan)
                rows.append(
                    {
                        "measure": measure,
                        "ensemble": judged.ensemble.name,
                        "group": group,
                        "weighting": weighting,
                        "posts": len(ranking.order),
                        "aurc": found,
                        "ci_low": low,
                        "ci_high": high,
                        "aurc_low": aurc(everyone, wrong, weights)[0],
                        "aurc_high": aurc(everyone, wrong + ~judged.known, weights)[0],
                        "optimum": optimum,
                        "excess_aurc": found - optimum,
                        "risk": share(weights @ (wrong * inside), weights @ (inside & judged.known)),
                    }
                )
    return pd.DataFrame(rows, columns=list(RISK))


def aurc(
    ranking: Ranking, wrong: NDArray[np.float64], weights: NDArray[np.float64], drawn: NDArray[Any] | None = None
) -> NDArray[np.float64]:
    """The mean over k of the risk of the k most confident (Geifman, Uziel and El-Yaniv 2019), ties averaged.

    Equally confident posts each count as their mean, which is what all their orders give on average.

    Args:
        ranking: the posts.
        wrong: 1 for a wrong label, 0 for a right one, ``[n]``.
        weights: of the posts, ``[n]``.
        drawn: how often each is there, ``[rounds, n]``; default: one round, each once.

    Returns:
        ``[rounds]``; not a number without posts.
    """
    times = np.ones((1, len(wrong)), np.int64) if drawn is None else drawn.astype(np.int64)
    rounds = len(times)
    if not len(ranking.order):
        return np.full(rounds, np.nan)
    means = share(ranking.sums(weights * wrong * times), ranking.sums(weights * times))[:, ranking.tie]
    # The copies of all rounds stand one after the other in one array; every round then sums for itself.
    often = times[:, ranking.order]
    each = np.repeat(np.broadcast_to(weights[ranking.order], often.shape).ravel(), often.ravel())
    mean = np.repeat(means.ravel(), often.ravel())
    lengths = often.sum(axis=1)
    of_round = np.repeat(np.arange(rounds), lengths)
    first = np.cumsum(lengths) - lengths

    def within(values: NDArray[np.float64]) -> NDArray[np.float64]:
        before = np.concatenate([[0.0], np.cumsum(values)])
        return np.asarray(before[1:] - before[first[of_round]])

    risks = within(each * mean) / within(each)
    return share(np.bincount(of_round, each * risks, rounds), np.bincount(of_round, each, rounds))
