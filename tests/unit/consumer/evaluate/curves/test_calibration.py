import math
from bisect import bisect_left

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from consumer.evaluate.curves.calibration import BINS, RELIABILITY, reliability
from consumer.evaluate.stats.intervals import Strata
from tests.unit.consumer.evaluate.simulated import Opened, inputs, judged

NAN = float("nan")


def test_ece_by_hand_and_its_diagram_by_scikit_learn(whole: Opened) -> None:
    diagrams, errors = reliability(*inputs(*whole.answers, rounds=200))
    assert tuple(diagrams.columns) == RELIABILITY
    for answer, error in zip(whole.answers, errors, strict=True):
        decided = [n for n in range(1_000) if not math.isnan(answer.confidence[n])]
        ranked = sorted(decided, key=lambda n: answer.confidence[n])
        confidences = [float(answer.confidence[n]) for n in ranked]
        edges = np.percentile(confidences, np.linspace(0, 1, 16) * 100).tolist()[1:-1]
        bins: list[list[int]] = [[] for _ in range(15)]
        for n in ranked:
            bins[bisect_left(edges, answer.confidence[n])].append(n)
        gaps = [abs(sum(answer.confidence[n] - (answer.verdict[n] == 1) for n in each)) for each in bins]
        assert error.ece == pytest.approx(sum(gaps) / len(decided))
        assert error.posts == len(decided)
        assert error.low < error.high
        diagram = diagrams[diagrams["ensemble"] == answer.ensemble.name]
        accuracy, confidence = calibration_curve(
            answer.right[decided], answer.confidence[decided], n_bins=15, strategy="quantile"
        )
        assert diagram["accuracy"].tolist() == pytest.approx(accuracy.tolist())
        assert diagram["confidence"].tolist() == pytest.approx(confidence.tolist())
        assert diagram["posts"].max() - diagram["posts"].min() <= 1
        assert diagram["weight"].sum() == pytest.approx(1)


def test_a_calibrated_model_has_a_small_error_and_an_averaged_one_a_large(whole: Opened) -> None:
    """The picture's confidences are calibrated by construction; the mean of two distributions is too modest."""
    _, errors = reliability(*inputs(*whole.answers))
    ece = {error.ensemble: error.ece for error in errors}
    noise = math.sqrt(2 / math.pi) * math.sqrt(0.25 / (1_000 / BINS))  # mean of |normal| of a bin's accuracy, at most
    assert ece["OnlyImg"] < 1.5 * noise
    assert ece["Img x 0.8 + Text x 0.8"] > 2 * noise


def test_unjudged_and_undecided_posts_are_in_no_bin() -> None:
    answer = judged([*np.linspace(0.1, 0.9, 30).tolist(), 0.5, NAN], [*[1, 0] * 15, -1, -1])
    diagrams, errors = reliability(*inputs(answer))
    assert diagrams["posts"].tolist() == [10] * 3  # fewer bins than 15, for none has fewer posts than 10
    assert errors[0].posts == 30


@pytest.mark.parametrize("verdict", [0, 1])
def test_an_error_of_labels_that_are_all_right_or_all_wrong_has_no_interval(verdict: int) -> None:
    _, (error,) = reliability(*inputs(judged([0.5] * 20, [verdict] * 20)))
    assert error.ece == pytest.approx(0.5)
    assert math.isnan(error.low)
    assert math.isnan(error.high)


def test_stratum_weights_are_in_the_error() -> None:
    strata = Strata(("bar", "sky"), np.array([0] * 15 + [1] * 15), np.array([900.0, 100.0]))
    answer = judged([0.5] * 30, [1] * 15 + [0] * 15)
    _, errors = reliability(*inputs(answer, strata=strata))
    assert {error.weighting: error.ece for error in errors} == {
        "balanced": pytest.approx(0),
        "frequency": pytest.approx(0.9 - 0.5),
    }


def test_nothing_judged_has_no_diagram() -> None:
    diagrams, errors = reliability(*inputs(judged([0.5, 0.6], [-1, -1])))
    assert diagrams.empty
    assert errors == []
