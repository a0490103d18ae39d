import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from consumer.evaluate.curves import compare
from consumer.evaluate.curves.compare import COMPARED
from consumer.evaluate.marks import sheet
from consumer.evaluate.marks.marks import Sheet
from consumer.evaluate.marks.truth import Judged, truth_of
from consumer.evaluate.samples.folder import Sample
from consumer.evaluate.scores.decide import ENSEMBLES
from consumer.evaluate.scores.folder import Scores
from consumer.evaluate.stats.intervals import Bootstrap
from producer.base.command import run
from producer.base.errors import CommandError, UsageError
from tests.unit.consumer.evaluate.pictures import write_pictures
from tests.unit.consumer.evaluate.simulated import (
    CATEGORIES,
    Simulated,
    as_a_worker_leaves_it,
    everyone,
    judged,
    other_places,
    simulate,
    write_scores,
    write_sheet,
)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    """A sample of one model, with the scores of two others beside it and a sheet that pooled all."""
    experiment = simulate(tmp_path_factory.mktemp("b"), "b", 400, per_class=25, no_place=0.1)
    true = np.array([-1 if place is None else CATEGORIES.index(place) for place in experiment.truth.values()])
    folder = experiment.scores.parent
    better = write_scores(folder / "better", true, 0.8, 2.4, 1.2, np.random.default_rng(3), encoder="better")
    reworded = write_scores(folder / "reworded", true, 0.8, 1.6, 1.2, np.random.default_rng(4), places="ten@fedcba98")
    scores = Scores.open(experiment.scores)
    write_sheet(folder / "pooled.csv", Sample.open(experiment.sample), [scores, better, reworded], experiment.truth)
    return experiment


def arguments(experiment: Simulated, *names: str, marks: str = "pooled.csv") -> list[str]:
    folder = experiment.scores.parent
    folders = [str(folder / name) for name in (*names, "sample")]
    return [*folders, "--marks", str(folder / marks), "--rounds", "100"]


def two(one: Judged, other: Judged, coverage: float = 0.5) -> pd.DataFrame:
    posts = len(one.verdict)
    models = {"a": one, "b": other}
    bootstrap = Bootstrap.within(everyone(posts), 100, 1)
    return compare.compare(models, everyone(posts), bootstrap, [f"{number:03d}" for number in range(posts)], coverage)


def test_mcnemar_by_hand_and_holm_by_hand(
    experiment: Simulated, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = arguments(experiment, "scores", "better", "reworded")
    assert compare.main([*argv, "-o", str(tmp_path / "compared.csv")]) == 0
    table = pd.read_csv(tmp_path / "compared.csv")
    assert tuple(table.columns) == COMPARED
    assert set(table["measure"]) == {"accuracy"}
    sample = Sample.open(experiment.sample)
    true = [experiment.truth[post.post_id] for post in sample.posts]
    right, confidence = {}, {}
    for name in ("scores", "better", "reworded"):
        scores = Scores.open(experiment.scores.parent / name)
        truth = truth_of(sample, experiment.scores.parent / "pooled.csv", False, CATEGORIES)
        part = scores.of([post.post_id for post in sample.posts])
        answer = Judged.of(ENSEMBLES[4], part, scores.info, truth)
        right[name], confidence[name] = answer.right.tolist(), answer.confidence.tolist()
    for _, rows in table.groupby("coverage", dropna=False):
        for row in rows.to_dict("records"):
            counted = {}
            for name in (row["one"], row["other"]):
                order = sorted(range(len(true)), key=lambda n, name=name: -confidence[name][n])  # type: ignore[misc]
                kept = set(order if pd.isna(row["coverage"]) else order[: len(true) // 2])
                counted[name] = [right[name][n] and n in kept for n in range(len(true))]
            pairs = list(zip(counted[row["one"]], counted[row["other"]], strict=True))
            b, c = sum(x and not y for x, y in pairs), sum(y and not x for x, y in pairs)
            assert (row["one_only"], row["other_only"]) == (b, c)
            assert row["p"] == pytest.approx(binomtest(b, b + c).pvalue)
            assert row["difference"] == pytest.approx((b - c) / len(true))
            assert row["ci_low"] < row["difference"] < row["ci_high"]
        ranked = rows.sort_values("p")
        holm = np.maximum.accumulate(ranked["p"].to_numpy() * [3, 2, 1]).clip(max=1)
        assert ranked["p_holm"].tolist() == pytest.approx(holm.tolist())
    better = table[(table["one"] == "scores") & (table["other"] == "better") & table["coverage"].isna()].iloc[0]
    assert better["p_holm"] < 0.001
    assert better["difference"] < 0
    assert "scores, better, without a threshold: right " in capsys.readouterr().out


@pytest.mark.parametrize("name", ["better", "reworded"])
def test_a_sample_of_one_models_predictions_is_refused_unless_the_sheet_pooled_both(
    experiment: Simulated, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Another wording is another model, though its encoder has the same name."""
    argv = arguments(experiment, "scores", name, marks="marks.csv")
    assert run("evaluate", {"compare": ("consumer.evaluate.curves.compare:main", "")}, ["compare", *argv]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "was drawn from the predictions of simulated|ten@0123abcd" in line
    assert f"did not propose the labels of {experiment.scores.parent / name}" in line


def test_an_ensemble_that_the_sheet_did_not_pool_is_refused(
    experiment: Simulated, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [*arguments(experiment, "scores", "better"), "--ensemble", "ensemble:0.2,0.8"]
    with pytest.raises(CommandError, match=r"pooled.csv did not propose the labels of Img x 0.2 .* --ensemble ens"):
        compare.main(argv)
    pooled = Sheet.read(experiment.scores.parent / "pooled.csv")
    more = tmp_path / "more.csv"
    replace(pooled, ensembles=(*pooled.ensembles, "Img x 0.2 + Text x 0.8")).write(more)
    assert compare.main([*argv, "--marks", str(more)]) == 0
    other_gate = ["--ensemble", "conditional:0.8,0.8:0.3:0.5"]
    assert compare.main([*arguments(experiment, "scores", "better"), *other_gate]) == 0, "its labels are others', too"


def test_a_sample_of_the_whole_dataset_needs_no_pooling_but_says_what_it_leaves_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment = simulate(tmp_path, "c", 100)
    true = np.array([CATEGORIES.index(place or "") for place in experiment.truth.values()])
    write_scores(tmp_path / "other", true, 0.8, 0.5, 0.5, np.random.default_rng(3), encoder="other")
    assert compare.main(arguments(experiment, "scores", "other", marks="marks.csv")) == 0
    assert "left out of a pair, for nobody judged a label of theirs" in capsys.readouterr().err


def test_pre_labels_compare_agreement(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    experiment = simulate(tmp_path, "a", 100, per_class=5)
    true = np.array([CATEGORIES.index(place or "") for place in experiment.truth.values()])
    write_scores(tmp_path / "other", true, 0.8, 2.5, 0.5, np.random.default_rng(3), encoder="other")
    compare.main([str(experiment.scores), str(tmp_path / "other"), str(experiment.sample), "--rounds", "100"])
    assert capsys.readouterr().out.startswith("agreement, conditional 0.8/0.8, ")


def test_what_a_model_abstains_from_is_not_correct() -> None:
    """One is right about all, the other about the half it is sure of: alike at equal coverage only."""
    sure = np.linspace(1, 0, 20).tolist()
    table = two(judged(sure, [1] * 20), judged(sure, [1] * 10 + [0] * 10))
    assert table["one_only"].tolist() == [10, 0]
    assert table["p"].tolist() == [pytest.approx(binomtest(10, 10).pvalue), 1.0]
    assert table["one_right"].tolist() == [1.0, 0.5]


def test_without_discordant_posts_the_interval_is_wilsons_of_none_and_not_a_point() -> None:
    sure = np.linspace(1, 0, 20).tolist()
    row = two(judged(sure, [1] * 12 + [0] * 8), judged(sure, [1] * 12 + [0] * 8)).iloc[0]
    some = binomtest(0, 20).proportion_ci(method="wilson").high
    assert row["difference"] == 0
    assert [row["ci_low"], row["ci_high"]] == pytest.approx([-some, some])
    row = two(judged(sure, [1] * 20), judged(sure, [0] * 20)).iloc[0]
    assert [row["difference"], row["ci_low"], row["ci_high"]] == pytest.approx([1, 1 - some, 1])


@pytest.mark.parametrize("differ", [1, 2])
def test_few_discordant_posts_all_to_one_side_do_not_bound_the_interval_at_nothing(differ: int) -> None:
    """McNemar's p is 1 and 0.5 there; no round of the bootstrap lies on the other side."""
    sure = np.linspace(1, 0, 40).tolist()
    row = two(judged(sure, [1] * 30 + [0] * 10), judged(sure, [1] * (30 - differ) + [0] * (10 + differ))).iloc[0]
    some = binomtest(0, 40).proportion_ci(method="wilson").high
    assert row["ci_low"] == pytest.approx(differ / 40 - some)
    assert row["ci_low"] < 0 < row["ci_high"]


def test_a_caption_that_is_not_there_is_an_abstention_too() -> None:
    table = two(judged([0.9] * 10, [1] * 10), judged([0.9] * 4 + [float("nan")] * 6, [1] * 4 + [-1] * 6))
    assert table.loc[0, ["posts", "one_only", "other_only"]].tolist() == [10, 6, 0]


def test_an_unjudged_label_leaves_its_post_out_unless_the_model_abstains() -> None:
    sure = np.linspace(1, 0, 10).tolist()
    table = two(judged(sure, [1] * 10), judged(sure, [0] * 9 + [-1]))
    assert table["posts"].tolist() == [9, 10]
    assert table["left_out"].tolist() == [1, 0]


def test_two_folders_at_least_and_a_known_ensemble(experiment: Simulated) -> None:
    with pytest.raises(UsageError, match="two score folders and a sample folder"):
        compare.main(arguments(experiment, "scores"))
    with pytest.raises(UsageError, match="ENSEMBLE"):
        compare.main([*arguments(experiment, "scores", "better"), "--ensemble", "majority"])


def test_a_label_set_is_compared_with_the_folder_s_own_once_a_sheet_proposed_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment = simulate(tmp_path / "x", posts=100, per_class=5)
    places = ("--places", str(other_places(monkeypatch, tmp_path)))
    folders = [str(experiment.scores), str(experiment.sample)]
    with pytest.raises(UsageError, match="two score folders"):
        compare.main([*folders, "--marks", str(experiment.sheet)])
    with pytest.raises(CommandError, match="did not propose the labels of .*scores with reworded@.* --places .*csv"):
        compare.main([*folders, "--marks", str(experiment.sheet), *places])
    write_pictures(experiment.sample)
    assert sheet.main([folders[1], *places, "-o", str(tmp_path / "sheet")]) == 0
    both = tmp_path / "sheet" / "sheet.csv"
    assert len(Sheet.read(both).pooled) == 2

    assert compare.main([*folders, "--marks", str(both), *places, "--allow-unmarked", "--rounds", "100"]) == 0

    assert "scores, scores with reworded@89abcdef, without a threshold" in capsys.readouterr().out


def test_an_ensemble_that_cannot_decide_every_post_is_refused(tmp_path: Path) -> None:
    experiment = simulate(tmp_path / "x", "c", 100)
    as_a_worker_leaves_it(experiment.scores)
    copy = shutil.copytree(experiment.scores, tmp_path / "copy")
    two = [str(experiment.scores), str(copy), str(experiment.sample), "--marks", str(experiment.sheet)]

    with pytest.raises(CommandError, match="scores: not every caption was encoded that is needed by Img x 0.8"):
        compare.main([*two, "--ensemble", "ensemble:0.8,0.8"])
