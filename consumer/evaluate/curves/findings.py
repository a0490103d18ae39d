"""Whether three findings of the talk hold on one's own data: a verdict each, by intervals from paired bootstraps.

The findings are about raw scores, as the talk had them; beside each verdict stands the same at equal coverage, which no
scale can distort.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from consumer.evaluate.curves.risk import at_coverage, effective_at
from consumer.evaluate.marks.truth import Judged
from consumer.evaluate.scores.decide import BOTH, CONDITIONAL, IMAGE
from consumer.evaluate.stats.intervals import (
    Bootstrap,
    Strata,
    effective_number,
    paired_interval,
    share,
    share_interval,
)
from consumer.evaluate.stats.measure import Measure

Answer = Literal["holds", "does not", "cannot tell"]
TWO = f"ensemble 2 ({BOTH.name})"
"""The talk's name, which nobody else knows, and ours."""

FROM = 0.4
THRESHOLDS = np.round(np.arange(FROM, 1.6 + 1e-9, 0.05), 2)
TO = 0.8
"""The second finding compares the images recovered at `FROM` with those at twice that."""
FAR_FEWER = 0.5
"""Less than half as many are far fewer."""
NO_GAIN = 0.01
"""A gain in accuracy of less than a point is none."""
LEAST = 30
"""Judged and classified posts of both ensembles that a comparison at one threshold must rest on."""
COVERAGES = np.round(np.arange(0.1, 1.01, 0.1), 1)
DUST = 1e-6
"""Spread of the rounds that is rounding: their sums have seven digits."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding and what the data say about it.

    Attributes:
        claim: the talk's words, each claim by itself.
        verdict: on raw scores.
        rule: how the verdict was reached, for a reader.
        estimate: what was estimated, with its 95 % interval ``low`` to ``high``; None where nothing could be compared.
        posts: that it is of, where there are most.
        numbers: details, by threshold or coverage.
        equal_coverage: verdict, estimate and interval at equal coverage; None where the claim is about thresholds.
    """

    claim: str
    verdict: Answer
    rule: str
    estimate: float | None
    low: float | None
    high: float | None
    posts: int
    numbers: list[dict[str, float]]
    equal_coverage: dict[str, Any] | None


def findings(answers: Sequence[Judged], strata: Strata, bootstrap: Bootstrap, measure: Measure) -> list[Finding]:
    """The three verdicts, with every class counting the same as in the talk (in a sample without classes: every post).

    Args:
        answers: `IMAGE`, `BOTH` (the talk's ensemble 2) and `CONDITIONAL` among them; else there is no verdict.
        strata: how the posts were drawn.
        bootstrap: the rounds; the same for all ensembles, so that differences are paired.
        measure: what a right label is called.
    """
    by_name = {judged.ensemble.name: judged for judged in answers}
    if not {each.name for each in (IMAGE, BOTH, CONDITIONAL)} <= by_name.keys():
        return []
    image, both, conditional = (by_name[each.name] for each in (IMAGE, BOTH, CONDITIONAL))
    weights = strata.weights(strata.weightings[0])
    recovered = min(float(_recovered(judged, weights, np.array([FROM]))[0]) for judged in (both, image))
    accurate = _by_threshold(both, image, weights, bootstrap)
    accurate_fairly = _by_coverage(both, image, weights, bootstrap, COVERAGES[recovered >= COVERAGES])
    beaten = _by_threshold(conditional, both, weights, bootstrap)
    beaten_fairly = _by_coverage(conditional, both, weights, bootstrap, COVERAGES)
    rule = f"mean difference in {measure} over the raw thresholds from {FROM:g} on at which both classify {LEAST} posts"
    return [
        Finding(
            f"{TWO} is more accurate from 0.4 on",
            _gains_throughout(accurate),
            f"{BOTH.name} minus {IMAGE.name}: {rule}. Holds: its interval lies above 0, and at no threshold is the "
            f"difference surely negative. Does not: the interval lies below a gain of {NO_GAIN:.0%}, or at some "
            "threshold it is.",
            *accurate.interval,
            accurate.posts,
            accurate.numbers,
            accurate_fairly.plain(_gains_throughout(accurate_fairly)),
        ),
        _recovers_fewer(both, image, weights, bootstrap),
        Finding(
            f"the conditional does not beat {TWO}",
            _turned(_gains(beaten)),
            f"{CONDITIONAL.name} minus {BOTH.name}: {rule}. Holds: its interval lies below a gain of {NO_GAIN:.0%}. "
            "Does not: the interval lies above 0.",
            *beaten.interval,
            beaten.posts,
            beaten.numbers,
            beaten_fairly.plain(_turned(_gains(beaten_fairly))),
        ),
    ]


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """How much more often one ensemble is right than another, at several thresholds or coverages.

    Attributes:
        interval: mean difference, low, high; None where nothing can be compared.
        posts: judged ones, where there are most.
        surely_less: whether at some threshold the difference is negative, by a band over all thresholds at once.
        numbers: the difference and its own interval at each.
    """

    interval: tuple[float | None, float | None, float | None]
    posts: int
    surely_less: bool
    numbers: list[dict[str, float]]

    def plain(self, verdict: Answer) -> dict[str, Any]:
        """As it is written to curves.json."""
        keys = ("estimate", "low", "high")
        interval = dict(zip(keys, self.interval, strict=True))
        return {"verdict": verdict, **interval, "posts": self.posts, "numbers": self.numbers}


def _gains(difference: Difference) -> Answer:
    """Whether the first ensemble is more accurate on the whole."""
    _, low, high = difference.interval
    if low is None or high is None:
        return "cannot tell"
    if low > 0:
        return "holds"
    return "does not" if high < NO_GAIN else "cannot tell"


def _gains_throughout(difference: Difference) -> Answer:
    """Whether the first is more accurate on the whole and nowhere surely less."""
    return "does not" if difference.surely_less else _gains(difference)


def _turned(answer: Answer) -> Answer:
    opposites: dict[Answer, Answer] = {"holds": "does not", "does not": "holds", "cannot tell": "cannot tell"}
    return opposites[answer]


def _by_threshold(one: Judged, other: Judged, weights: NDArray[np.float64], bootstrap: Bootstrap) -> Difference:
    known = [judged.classified("raw", THRESHOLDS) & judged.known[:, None] for judged in (one, other)]
    posts = np.min([each.sum(axis=0) for each in known], axis=0)
    usable = posts >= LEAST
    effective = np.min([effective_number(weights, each[:, usable]) for each in known], axis=0)
    accuracies, rounds = [], []
    for judged, each in zip((one, other), known, strict=True):
        whole = each[:, usable]
        part = whole & judged.right[:, None]
        accuracies.append(share(weights @ part, weights @ whole))
        rounds.append(share(bootstrap.sums(weights, part), bootstrap.sums(weights, whole)))
    at = [{"threshold": float(each)} for each in THRESHOLDS[usable]]
    return _difference(accuracies[0] - accuracies[1], rounds[0] - rounds[1], at, effective, int(posts.max(initial=0)))


def _by_coverage(
    one: Judged, other: Judged, weights: NDArray[np.float64], bootstrap: Bootstrap, coverages: NDArray[np.float64]
) -> Difference:
    def difference(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
        return (at_coverage(one, coverages, drawn) - at_coverage(other, coverages, drawn))[..., 0, :]

    posts = int(min(judged.known.sum() for judged in (one, other)))
    coverages = coverages[coverages * posts >= LEAST]
    found = difference(weights)
    usable = np.isfinite(found)
    at = [{"coverage": float(each)} for each in coverages[usable]]
    effective = np.min([effective_at(judged, coverages[usable], weights) for judged in (one, other)], axis=0)
    return _difference(found[usable], bootstrap.each(difference, weights)[:, usable], at, effective, posts)


def _difference(
    found: NDArray[np.float64],
    rounds: NDArray[np.float64],
    at: list[dict[str, float]],
    effective: NDArray[np.float64],
    posts: int,
) -> Difference:
    """Mean difference, interval and band.

    Args:
        found: at the places ``at``, ``[m]``.
        rounds: ``[rounds, m]``.
        at: thresholds or coverages.
        effective: number of posts, ``[m]``.
        posts: judged ones, where there are most.
    """
    if not at:
        return Difference((None, None, None), posts, False, [])
    lows, highs = paired_interval(found, rounds, effective)
    keys = ("difference", "low", "high")
    numbers = [
        place | dict(zip(keys, map(float, each), strict=True))
        for place, each in zip(at, zip(found, lows, highs, strict=True), strict=True)
    ]
    mean, of_rounds, most = found.mean(keepdims=True), np.nanmean(rounds, axis=1, keepdims=True), effective.max()
    estimate, low, high = (float(each[0]) for each in (mean, *paired_interval(mean, of_rounds, np.array([most]))))
    return Difference((estimate, low, high), posts, _surely_less(found, rounds), numbers)


def _surely_less(found: NDArray[np.float64], rounds: NDArray[np.float64]) -> bool:
    """Whether the 95 % band over all thresholds at once (bootstrap of the greatest deviation) is below 0 anywhere."""
    spread = np.nanstd(rounds, axis=0)
    varies = spread > DUST
    if not varies.any():
        return False
    deviations = np.nanmax(np.abs(rounds - found)[:, varies] / spread[varies], axis=1)
    return bool((found[varies] + np.nanquantile(deviations, 0.95) * spread[varies] < 0).any())


def _recovered(judged: Judged, weights: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of posts that are classified at each raw threshold."""
    return np.asarray(weights @ judged.classified("raw", thresholds) / weights.sum())


def _recovers_fewer(both: Judged, image: Judged, weights: NDArray[np.float64], bootstrap: Bootstrap) -> Finding:
    at_from, at_to = (both.classified("raw", np.array([threshold])) for threshold in (FROM, TO))
    estimate, low, high = (float(each[0]) for each in share_interval(bootstrap, weights, at_to, at_from))
    verdict: Answer = "cannot tell"
    if at_from.sum() >= LEAST and high < FAR_FEWER:
        verdict = "holds"
    elif at_from.sum() >= LEAST and low > FAR_FEWER:
        verdict = "does not"
    shares = (THRESHOLDS, _recovered(both, weights, THRESHOLDS), _recovered(image, weights, THRESHOLDS))
    keys = ("threshold", "recovered", "recovered_by_image")
    numbers = [dict(zip(keys, map(float, each), strict=True)) for each in zip(*shares, strict=True)]
    known = at_from.any()
    return Finding(
        f"{TWO} recovers far fewer images as the threshold grows",
        verdict,
        f"images that {BOTH.name} recovers at the raw threshold {TO:g}, as a share of those at {FROM:g}. Holds: its "
        f"interval lies below {FAR_FEWER:.0%}. Does not: above. Needs no marks.",
        estimate if known else None,
        low if known else None,
        high if known else None,
        int(at_from.sum()),
        numbers,
        None,
    )
