import itertools
import math

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score
from statsmodels.stats.proportion import proportion_confint

from consumer.evaluate.curves.risk import COVERAGE, RISK, Ranking, at_coverage, aurc, coverage_table, risk_table
from consumer.evaluate.stats.intervals import Strata
from tests.unit.consumer.evaluate.simulated import Opened, inputs, judged

NAN = float("nan")


def area(confidence: list[float], wrong: list[int], weights: list[float] | None = None) -> float:
    ranking = Ranking.by(np.array(confidence), np.ones(len(wrong), np.bool_))
    return float(aurc(ranking, np.array(wrong, np.float64), np.array(weights or [1.0] * len(wrong)))[0])


def by_hand(wrong: list[int]) -> float:
    """The mean over k of the risk of the first k."""
    return sum(sum(wrong[:k]) / k for k in range(1, len(wrong) + 1)) / len(wrong)


def test_aurc_by_hand_on_the_simulated_posts(whole: Opened) -> None:
    table = risk_table(*inputs(*whole.answers)).set_index("ensemble")
    assert list(table.reset_index().columns.sort_values()) == sorted(RISK)
    for answer in whole.answers:
        decided = [n for n in range(1_000) if not math.isnan(answer.confidence[n])]
        decided.sort(key=lambda n: -answer.confidence[n])
        wrong = [0 if answer.verdict[n] == 1 else 1 for n in decided]
        row = table.loc[answer.ensemble.name]
        assert row["posts"] == len(decided)
        assert row["aurc"] == pytest.approx(by_hand(wrong))
        assert row["optimum"] == pytest.approx(by_hand(sorted(wrong)))
        assert row["excess_aurc"] == pytest.approx(by_hand(wrong) - by_hand(sorted(wrong)))
        assert row["risk"] == pytest.approx(sum(wrong) / len(wrong))
        assert row["ci_low"] < row["aurc"] < row["ci_high"]
    assert table.loc["OnlyText", "posts"] < 1_000


def test_ties_count_as_the_mean_of_all_their_orders() -> None:
    confidence, wrong = [0.9, 0.5, 0.5, 0.5, 0.1], [0, 1, 0, 0, 1]
    orders = [by_hand([0, *middle, 1]) for middle in itertools.permutations(wrong[1:4])]
    assert area(confidence, wrong) == pytest.approx(sum(orders) / len(orders))
    assert area([0.5] * 4, [1, 0, 0, 0]) == pytest.approx(0.25)


def test_a_post_that_counts_twice_is_as_good_as_two() -> None:
    """What the bootstrap relies on: drawn twice, it is there twice, tied with itself."""
    ranking = Ranking.by(np.array([0.9, 0.7, 0.5]), np.ones(3, np.bool_))
    drawn = np.array([[2, 0, 1], [1, 1, 1], [0, 0, 0]])
    found = aurc(ranking, np.array([1.0, 0.0, 0.0]), np.ones(3), drawn)
    assert found[:2] == pytest.approx([by_hand([1, 1, 0]), by_hand([1, 0, 0])])
    assert math.isnan(found[2])


def test_the_unjudged_are_bounds_of_the_area() -> None:
    answer = judged([0.9, 0.8, 0.7, NAN], [1, -1, 0, -1])
    row = risk_table(*inputs(answer)).iloc[0]
    assert row["posts"] == 2
    assert row["aurc"] == pytest.approx(by_hand([0, 1]))
    assert (row["aurc_low"], row["aurc_high"]) == (pytest.approx(by_hand([0, 0, 1])), pytest.approx(by_hand([0, 1, 1])))


def test_weights_follow_the_classes_frequency() -> None:
    """Weights that are whole numbers come near as many copies; with all risks equal they are the same."""
    assert area([0.9, 0.5], [1, 1], [3, 1]) == pytest.approx(1)
    assert area([0.9, 0.5], [0, 1], [3, 1]) == pytest.approx((3 * 0 + 1 * 1 / 4) / 4)


def test_equal_coverage_is_the_accuracy_of_the_most_confident(whole: Opened) -> None:
    coverages = np.array([0.1, 0.5, 1.0])
    table = coverage_table(*inputs(*whole.answers), coverages)
    assert tuple(table.columns) == COVERAGE
    for answer in whole.answers:
        found = table[table["ensemble"] == answer.ensemble.name].set_index("coverage")
        order = sorted(range(1_000), key=lambda n: (math.isnan(answer.confidence[n]), -answer.confidence[n]))
        for coverage in coverages:
            kept = order[: round(coverage * 1_000)]
            row = found.loc[coverage]
            if any(math.isnan(answer.confidence[n]) for n in kept):
                assert math.isnan(row["accuracy"])  # a caption alone cannot cover posts without one
                continue
            assert row["accuracy"] == pytest.approx(accuracy_score([1] * len(kept), answer.right[kept]))
            assert row["ci_low"] <= row["accuracy"] <= row["ci_high"]
    only_text = table[(table["ensemble"] == "OnlyText") & (table["coverage"] == 1)]
    assert only_text["accuracy"].isna().all()


def test_where_all_are_right_the_interval_is_wilsons_of_the_effective_number() -> None:
    """The first half of the most confident is right, then comes a wrong one; the bootstrap sees no spread before it."""
    answer = judged(np.linspace(1, 0.1, 20).tolist(), [1] * 10 + [0] + [1] * 8 + [-1])
    strata = Strata(("bar", "sky"), np.array([0] * 15 + [1] * 5), np.array([150.0, 50.0]))
    of = inputs(answer, strata=strata, rounds=200)
    table = coverage_table(*of, np.array([0.5, 1])).set_index(["weighting", "coverage"])
    expected = binomtest(10, 10).proportion_ci(method="wilson")
    row = table.loc[("frequency", 0.5)]  # ten posts of weight 1
    assert row["accuracy"] == 1
    assert [row["ci_low"], row["ci_high"]] == pytest.approx([expected.low, expected.high])
    assert row["judged"] == 10
    assert table.loc[("frequency", 1), "judged"] == 19, "the last was not judged"
    row = table.loc[("balanced", 0.5)]  # 15 posts of weight 2/3, the 11th of which is wrong
    assert row["accuracy"] == pytest.approx(14 / 15)
    assert row["ci_low"] < row["accuracy"]
    row = coverage_table(*of, np.array([0.05])).set_index("weighting").loc["balanced"]  # a post and a half
    assert [row["ci_low"], row["ci_high"]] == pytest.approx(proportion_confint(1.5, 1.5, method="wilson"))


def test_an_area_without_a_wrong_label_has_no_interval() -> None:
    for verdict in (1, 0):
        answer = judged([0.9, 0.8, 0.7], [verdict] * 3)
        (row,) = risk_table(*inputs(answer)).to_dict("records")
        assert row["aurc"] == 1 - verdict
        assert math.isnan(row["ci_low"])
        assert math.isnan(row["ci_high"])


def test_no_scale_of_confidences_distorts_equal_coverage() -> None:
    chance = np.random.default_rng(1)
    confidence, right = chance.random(50), chance.integers(2, size=50).tolist()
    coverages = np.linspace(0.1, 1, 10)
    one = at_coverage(judged(confidence.tolist(), right), coverages, np.ones(50))
    other = at_coverage(judged((confidence**5 / 3).tolist(), right), coverages, np.ones(50))
    assert one == pytest.approx(other)


def test_equally_confident_posts_are_covered_in_part() -> None:
    answer = judged([0.9, 0.5, 0.5, 0.5, 0.5], [1, 1, 0, 0, -1])
    found = at_coverage(answer, np.array([0.2, 0.6]), np.ones(5))
    assert found[:, 0].tolist() == [1, 1, 1]
    # The last two of three are half of the tied ones: half a right one, one wrong, half an unjudged one.
    assert found[:, 1] == pytest.approx([1.5 / 2.5, 1.5 / 3, 2 / 3])


def test_coverage_is_of_the_weighted_posts() -> None:
    strata = Strata(("bar", "sky"), np.array([0, 0, 1, 1]), np.array([10.0, 30.0]))
    answer = judged([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 1])
    found = at_coverage(answer, np.array([0.25, 1.0]), strata.weights("frequency"))
    assert found[0] == pytest.approx([0.5, (0.125 + 0.75)])
