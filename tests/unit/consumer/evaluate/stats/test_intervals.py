import math
from statistics import NormalDist

import numpy as np
import pytest
from scipy.stats import binomtest

from consumer.evaluate.stats.intervals import Bootstrap, Strata, percentiles, share_interval, wilson
from tests.unit.consumer.evaluate.simulated import everyone

STRATA = Strata(("bar", "sky"), np.array([0] * 30 + [1] * 10), np.array([100.0, 900.0]))


def test_balanced_weights_give_classes_the_same_and_frequency_what_the_dataset_has() -> None:
    balanced, frequency = STRATA.weights("balanced"), STRATA.weights("frequency")
    assert balanced.mean() == pytest.approx(1)
    assert frequency.mean() == pytest.approx(1)
    assert balanced[:30].sum() == pytest.approx(balanced[30:].sum())
    assert frequency[:30].sum() / frequency.sum() == pytest.approx(0.1)
    assert everyone(5).weightings == ("frequency",)


@pytest.mark.parametrize(
    ("sampled", "said"),
    [
        ([10, 10], None),
        ([9, 10, 2], "2 of 3 classes have fewer than 10 posts to judge by: intervals over all posts are too narrow"),
        ([5], "the sample has fewer than 10 posts to judge by: intervals over all posts are too narrow"),
    ],
)
def test_classes_of_a_few_posts_are_said(sampled: list[int], said: str | None) -> None:
    strata = Strata(tuple("abc"[: len(sampled)]), np.repeat(np.arange(len(sampled)), sampled), np.ones(len(sampled)))
    assert (strata.too_few or "").startswith(said or "")
    assert (strata.too_few is None) == (said is None)


def test_the_bootstrap_draws_within_strata_and_the_same_for_the_same_seed() -> None:
    one, same = (Bootstrap.within(STRATA, 50, 3).drawn for _ in range(2))
    assert (one == same).all()
    assert (one != Bootstrap.within(STRATA, 50, 4).drawn).any()
    assert (one[:, :30].sum(axis=1) == 30).all()
    assert (one[:, 30:].sum(axis=1) == 10).all()
    assert one.max() > 1


def test_the_bootstrap_interval_is_about_the_normal_one_where_that_holds() -> None:
    strata = Strata(("bar", "sky"), np.repeat([0, 1], 200), np.array([300.0, 700.0]))
    right = np.concatenate([np.arange(200) < 120, np.arange(200) < 180])[:, None]
    weights = strata.weights("frequency")
    bootstrap = Bootstrap.within(strata, 4_000, 1)
    found, low, high = share_interval(bootstrap, weights, right, np.ones_like(right))
    assert found[0] == pytest.approx(0.3 * 0.6 + 0.7 * 0.9)
    spread = math.sqrt(0.3**2 * 0.6 * 0.4 / 200 + 0.7**2 * 0.9 * 0.1 / 200)
    z = NormalDist().inv_cdf(0.975)
    assert low[0] == pytest.approx(found[0] - z * spread, abs=0.003)
    assert high[0] == pytest.approx(found[0] + z * spread, abs=0.003)


def test_where_all_are_right_the_interval_is_wilsons_and_not_a_point() -> None:
    everything = np.ones((40, 1), np.bool_)
    found, low, high = share_interval(Bootstrap.within(STRATA, 100, 1), np.ones(40), everything, everything)
    expected = binomtest(40, 40).proportion_ci(method="wilson")
    assert (found[0], low[0], high[0]) == (1.0, pytest.approx(expected.low), pytest.approx(expected.high))


def test_wilson_is_scipys_and_nothing_has_no_interval() -> None:
    low, high = wilson(np.array([3.0, 0.0]), np.array([10.0, 0.0]))
    expected = binomtest(3, 10).proportion_ci(method="wilson")
    assert (low[0], high[0]) == (pytest.approx(expected.low), pytest.approx(expected.high))
    assert np.isnan([low[1], high[1]]).all()


def test_an_interval_of_a_few_lucky_rounds_is_none() -> None:
    rounds = np.tile(np.arange(100.0)[:, None], 3)
    rounds[:5, 1] = np.nan
    rounds[:50, 2] = np.nan
    low, high = percentiles(rounds)
    assert [low[0], high[0]] == pytest.approx(np.quantile(np.arange(100), (0.025, 0.975)))
    assert low[1] == pytest.approx(np.quantile(np.arange(5, 100), 0.025))
    assert np.isnan([low[2], high[2]]).all()
