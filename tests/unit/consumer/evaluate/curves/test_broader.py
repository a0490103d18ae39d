from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from consumer.classify.places import Group
from consumer.evaluate.curves.broader import BROADER, table
from consumer.evaluate.marks.marks import PostMarks
from consumer.evaluate.marks.truth import Truth, _verdicts
from consumer.evaluate.scores.decide import BOTH, IMAGE, Ensemble
from consumer.evaluate.scores.folder import ScoreInfo
from consumer.evaluate.scores.parts import ScorePart
from consumer.evaluate.stats.intervals import Bootstrap
from tests.unit.consumer.evaluate.made_up import made_up
from tests.unit.consumer.evaluate.simulated import Opened, everyone

PLACES = ("gallery", "studio", "bar", "pub", "lake", "hill")
GROUPS = (Group("synonyms", "gallery|studio", ("gallery", "studio")), Group("level2", "drinks", ("bar", "pub")))
GRID = np.array([0.3, 0.6, 0.8, 0.95])


def marks(**marked: Any) -> PostMarks:
    return PostMarks("1", "rome", None, None, ("gallery", "bar"), **marked)


def probable(**shares: float) -> list[float]:
    """Cosines whose softmax at the scale 10 gives these probabilities."""
    rest = (1 - sum(shares.values())) / (len(PLACES) - len(shares))
    return [float(np.log(shares.get(place, rest)) / 10) for place in PLACES]


@pytest.fixture
def rows(info: ScoreInfo) -> pd.DataFrame:
    """Of six posts of which one has a place, and one is not sure of any group."""
    posts = (
        marks(right=("gallery",)),
        marks(true_places=("lake",)),
        marks(no_place=True),
        marks(wrong=("bar",)),
        marks(right=("gallery",)),
        marks(right=("gallery",)),
    )
    dilute = {"gallery": 0.42, "studio": 0.42}
    drinks = {"bar": 0.47, "pub": 0.46}
    part = made_up(
        [
            probable(**dilute),
            probable(**dilute),
            probable(**drinks),
            probable(**drinks),
            probable(gallery=0.9),
            probable(gallery=0.25, bar=0.25, lake=0.25),
        ]
    )
    truth = Truth("accuracy", posts, _verdicts(posts, PLACES), ())
    return of(part, info, truth, (IMAGE,))


def of(part: ScorePart, info: ScoreInfo, truth: Truth, ensembles: tuple[Ensemble, ...]) -> pd.DataFrame:
    strata = everyone(len(part))
    bootstrap = Bootstrap.within(strata, 100, 1)
    return table(ensembles, part, info, truth, strata, bootstrap, truth.measure, 0.5, GRID)


@pytest.fixture
def info(partly: Opened) -> ScoreInfo:
    return replace(partly.scores.info, categories=PLACES, groups=GROUPS, image_logit_scale=10.0)


def test_who_gains_an_answer_and_whether_it_is_right_by_hand(rows: pd.DataFrame) -> None:
    assert tuple(rows.columns) == BROADER
    assert sorted(rows["broader_threshold"].unique()) == [0.6, 0.8, 0.95], "not below that of the places"
    whole = rows[rows["level"] == ""].set_index("broader_threshold")
    counts = ["not_classified", "correct", "incorrect", "unjudged", "judged"]
    assert whole.loc[0.6, counts].tolist() == [5, 1, 2, 1, 3]
    assert whole.loc[0.8, counts].tolist() == [5, 1, 2, 1, 3]
    assert whole.loc[0.95, counts].tolist() == [5, 0, 0, 0, 0]
    assert whole["gained"].tolist() == [0.8, 0.8, 0]
    assert whole.loc[0.6, ["accuracy", "accuracy_low", "accuracy_high"]].tolist() == pytest.approx(
        [1 / 3, 1 / 4, 1 / 2]
    )


def test_each_level_has_rows_of_its_own(rows: pd.DataFrame) -> None:
    at = rows[rows["broader_threshold"] == 0.6].set_index("level")
    assert at.loc["synonyms", ["correct", "incorrect", "unjudged"]].tolist() == [1, 1, 0]
    assert at.loc["level2", ["correct", "incorrect", "unjudged"]].tolist() == [0, 1, 1]
    assert at.loc["level1", "gained"] == 0


def test_who_could_not_tell_leaves_an_answer_unjudged(info: ScoreInfo) -> None:
    posts = (marks(no_place=True, cannot_tell=True),)
    truth = Truth("accuracy", posts, _verdicts(posts, PLACES), ())
    found = of(made_up([probable(gallery=0.42, studio=0.42)]), info, truth, (IMAGE,))
    assert found.iloc[0][["incorrect", "unjudged"]].tolist() == [0, 1]


def test_a_post_that_an_ensemble_cannot_decide_gains_nothing(info: ScoreInfo) -> None:
    posts = (marks(no_place=True),)
    truth = Truth("accuracy", posts, _verdicts(posts, PLACES), ())
    part = made_up([probable(gallery=0.42, studio=0.42)], captions=[True])
    found = of(part, info, truth, (BOTH,))
    assert (found["not_classified"] == 0).all()
    assert found["gained"].isna().all()


def test_every_ensemble_decides_by_its_own_distribution(partly: Opened) -> None:
    found = of(partly.part, partly.scores.info, partly.truth, (IMAGE, BOTH))
    one, other = (found[found["ensemble"] == each.name]["not_classified"].iloc[0] for each in (IMAGE, BOTH))
    assert one != other
