import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from consumer.evaluate.curves.denoising import DENOISING, auroc, denoising
from consumer.evaluate.curves.thresholds import grid
from consumer.evaluate.marks.marks import PostMarks
from consumer.evaluate.stats.intervals import Bootstrap, Strata
from tests.unit.consumer.evaluate.simulated import Opened, everyone, judged

GRIDS = {"normalised": grid(1.0, 0.1)}


def mark(no_place: bool = False, cannot_tell: bool = False, wrong: bool = True) -> PostMarks:
    return PostMarks("1", "london", None, None, ("bar",), (), ("bar",) if wrong else (), (), no_place, cannot_tell)


def test_shares_by_hand_and_auroc_by_scikit_learn(partly: Opened) -> None:
    table, separations = denoising(partly.answers, partly.truth.posts, partly.strata, partly.bootstrap, GRIDS)  # type: ignore[arg-type]
    assert tuple(table.columns) == DENOISING
    nothing = [n for n, post in enumerate(partly.truth.posts) if post.no_place]
    places = [n for n, post in enumerate(partly.truth.posts) if not post.no_place]
    for answer, separation in zip(partly.answers, separations, strict=True):
        confidence = [-1.0 if np.isnan(each) else float(each) for each in answer.confidence]
        expected = roc_auc_score([post.no_place for post in partly.truth.posts], [-each for each in confidence])
        assert separation.auroc == pytest.approx(expected)
        assert separation.low < separation.auroc < separation.high
        assert (separation.no_place, separation.places) == (len(nothing), len(places))
        for row in table[table["ensemble"] == answer.ensemble.name].to_dict("records"):
            rejected = sum(confidence[n] < row["threshold"] for n in nothing) / len(nothing)
            kept = sum(confidence[n] >= row["threshold"] for n in places) / len(places)
            assert (row["rejected"], row["kept"]) == (pytest.approx(rejected), pytest.approx(kept))
            assert row["kept_low"] <= row["kept"] <= row["kept_high"]
    assert separations[0].auroc > 0.6  # the simulated model is less sure where there is nothing to see


def test_the_rounds_of_the_auroc_are_scikit_learns(partly: Opened) -> None:
    """One round that draws every post once is the figure itself, ties included."""
    scores = np.array([0.1, 0.4, 0.4, 0.8, 0.4, 0.9])
    nothing = np.array([True, True, True, False, False, False])
    weights = np.array([1.0, 2.0, 1.0, 1.0, 3.0, 1.0])
    once = Bootstrap(np.ones((20, 6), np.float32))
    found, low, high = auroc(scores, nothing, ~nothing, weights, once)
    assert low == pytest.approx(found) == pytest.approx(high)
    apart = auroc(np.array([0.1, 0.2, 0.3, 0.8, 0.7, 0.9]), nothing, ~nothing, weights, once)
    assert apart == pytest.approx((1.0, np.nan, np.nan), nan_ok=True), "no interval that is a point"
    assert found == pytest.approx(roc_auc_score(~nothing, scores, sample_weight=weights))


def test_who_could_not_tell_or_marked_nothing_is_on_neither_side() -> None:
    posts = [mark(True), mark(), mark(), mark(cannot_tell=True), mark(True, True), mark(wrong=False)]
    answer = judged([0.1, 0.9, 0.2, 0.5, 0.5, 0.5], [0] * 6)
    table, separations = denoising([answer], posts, everyone(6), Bootstrap.within(everyone(6), 100, 1), GRIDS)  # type: ignore[arg-type]
    assert (separations[0].no_place, separations[0].places) == (1, 2)
    row = table.set_index("threshold").loc[0.5]
    assert (row["rejected"], row["kept"]) == (1, 0.5)


def test_without_pictures_of_no_place_there_is_nothing_to_say() -> None:
    table, separations = denoising(
        [judged([0.5, 0.6], [1, 0])],
        [mark(), mark()],
        everyone(2),
        Bootstrap.within(everyone(2), 100, 1),
        GRIDS,  # type: ignore[arg-type]
    )
    assert tuple(table.columns) == DENOISING
    assert table.empty
    assert separations == []


def test_shares_follow_the_classes_frequency() -> None:
    strata = Strata(("bar", "sky"), np.array([0, 0, 1, 1]), np.array([900.0, 100.0]))
    posts = [mark(True), mark(), mark(True), mark()]
    answer = judged([0.1, 0.9, 0.9, 0.1], [0] * 4)
    table, _ = denoising([answer], posts, strata, Bootstrap.within(strata, 100, 1), GRIDS)  # type: ignore[arg-type]
    rows = table[table["threshold"] == 0.5].set_index("weighting")
    assert rows["rejected"].to_dict() == {"balanced": pytest.approx(0.5), "frequency": pytest.approx(0.9)}
    assert rows["kept"].to_dict() == {"balanced": pytest.approx(0.5), "frequency": pytest.approx(0.9)}


def test_kinds_that_do_not_overlap_have_no_interval_however_their_weights_round() -> None:
    """scikit-learn's area of some of these is 0.9999999999999999."""
    for seed in range(60):
        chance = np.random.default_rng(seed)
        nothing = np.arange(40) < 20
        scores = np.where(nothing, 0.2, 0.5) + chance.random(40) / 5
        weights = chance.random(40) * 3 + 0.1
        found, low, _ = auroc(scores, nothing, ~nothing, weights, Bootstrap(np.ones((20, 40), np.float32)))
        assert found == pytest.approx(1)
        assert np.isnan(low), seed
