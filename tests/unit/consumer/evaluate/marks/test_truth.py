from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from consumer.evaluate.marks.marks import Sheet
from consumer.evaluate.marks.truth import RIGHT, UNJUDGED, WRONG, check_fit, truth_of
from consumer.evaluate.samples.folder import Sample
from consumer.evaluate.scores.folder import Scores
from producer.base.errors import CommandError, UsageError
from tests.unit.consumer.evaluate.simulated import CATEGORIES, Simulated, simulate


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    return simulate(tmp_path_factory.mktemp("a"), "a", 120, per_class=8, no_place=0.2)


def test_verdicts_of_all_places_are_those_of_the_marks(experiment: Simulated) -> None:
    truth = truth_of(Sample.open(experiment.sample), experiment.sheet, False, CATEGORIES)
    code = {"right": RIGHT, "wrong": WRONG, "unjudged": UNJUDGED}
    expected = [[code[post.verdict(place)] for place in CATEGORIES] for post in truth.posts]
    assert truth.verdicts.tolist() == expected
    assert {RIGHT, WRONG, UNJUDGED} == set(np.unique(truth.verdicts))
    labels = np.array([-1, *[3] * (len(expected) - 1)])
    assert truth.of(labels).tolist() == [UNJUDGED, *(row[3] for row in expected[1:])]


def test_without_marks_a_pre_label_is_the_one_true_place_and_it_is_called_agreement(experiment: Simulated) -> None:
    sample = Sample.open(experiment.sample)
    truth = truth_of(sample, None, False, CATEGORIES)
    assert truth.measure == "agreement"
    for post, row in zip(sample.posts, truth.verdicts, strict=True):
        assert [CATEGORIES[place] for place in np.flatnonzero(row == RIGHT)] == [post.prelabel]
        assert (row != UNJUDGED).all()
    assert truth_of(sample, experiment.sheet, False, CATEGORIES).measure == "accuracy"


def test_without_marks_or_pre_labels_there_is_nothing_to_judge_by(tmp_path: Path) -> None:
    experiment = simulate(tmp_path, "c", 30)
    with pytest.raises(UsageError, match="give the filled sheet"):
        truth_of(Sample.open(experiment.sample), None, False, CATEGORIES)


def test_unmarked_posts_are_said_and_only_on_request_unjudged(experiment: Simulated, tmp_path: Path) -> None:
    sample, sheet = Sample.open(experiment.sample), Sheet.read(experiment.sheet)
    first, second, *others = sheet.posts
    left = replace(first, right=(), wrong=(), true_places=(), no_place=False)
    Sheet(sheet.sample, sheet.pooled, (left, *others)).write(tmp_path / "part.csv")  # the second has no row at all
    with pytest.raises(CommandError, match=f"2 of {len(sheet.posts)} posts are unmarked.*--allow-unmarked"):
        truth_of(sample, tmp_path / "part.csv", False, CATEGORIES)
    truth = truth_of(sample, tmp_path / "part.csv", True, CATEGORIES)
    assert truth.unmarked == 2
    unjudged = {post.post_id for post, row in zip(truth.posts, truth.verdicts, strict=True) if (row == UNJUDGED).all()}
    assert unjudged == {first.post_id, second.post_id}


def test_a_sheet_of_another_sample_is_refused(experiment: Simulated, tmp_path: Path) -> None:
    other = simulate(tmp_path, "b", 60, per_class=3)
    with pytest.raises(CommandError, match="is the sheet of another sample"):
        truth_of(Sample.open(other.sample), experiment.sheet, False, CATEGORIES)


def test_a_post_that_is_not_in_the_sample_is_named(experiment: Simulated, tmp_path: Path) -> None:
    sheet = Sheet.read(experiment.sheet)
    rounded = replace(sheet.posts[0], post_id="1.4E+18")
    Sheet(sheet.sample, sheet.pooled, (rounded, *sheet.posts[1:])).write(tmp_path / "rounded.csv")
    with pytest.raises(CommandError, match=r"post 1.4E\+18 is not in the sample .*as text"):
        truth_of(Sample.open(experiment.sample), tmp_path / "rounded.csv", False, CATEGORIES)


def test_scores_of_another_label_set_or_dataset_are_refused(experiment: Simulated) -> None:
    sample, scores = Sample.open(experiment.sample), Scores.open(experiment.scores)
    check_fit(scores.folder, replace(scores.info, categories=CATEGORIES[::-1], places="other@1"), sample)
    with pytest.raises(CommandError, match="has another label set"):
        check_fit(scores.folder, replace(scores.info, categories=CATEGORIES[:-1]), sample)
    with pytest.raises(CommandError, match="has scores of other posts"):
        check_fit(scores.folder, replace(scores.info, ids_sha256="0"), sample)
