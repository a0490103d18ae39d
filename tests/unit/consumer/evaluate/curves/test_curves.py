import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from consumer.evaluate.curves import broader, calibration, curves, denoising, dilution, risk, thresholds
from consumer.evaluate.curves.curves import CurvesSettings
from consumer.evaluate.marks.marks import Sheet
from consumer.evaluate.marks.truth import truth_of
from consumer.evaluate.samples.folder import Sample
from consumer.evaluate.scores.decide import ENSEMBLES, parse
from consumer.evaluate.scores.folder import Scores
from producer.base.command import run
from producer.base.errors import UsageError
from producer.base.settings import load
from tests.unit.consumer.evaluate.simulated import Simulated, as_a_worker_leaves_it, other_places, simulate

COLUMNS = {
    "curves": thresholds.CURVES,
    "top1": thresholds.TOP1,
    "coverage": risk.COVERAGE,
    "risk": risk.RISK,
    "reliability": calibration.RELIABILITY,
    "denoising": denoising.DENOISING,
    "dilution": dilution.DILUTION,
    "broader": broader.BROADER,
    "threshold_choice": thresholds.CHOICE,
}
CHEAP = ("--rounds", "100", "--step", "0.1")
FURTHER = (
    *("--accuracy", "0.6", "--coverage", "0.5"),
    *("--ensemble", "conditional:0.8,0.5:0.6", "--ensemble", "ensemble:1,1"),
)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    return simulate(tmp_path_factory.mktemp("b"), "b", 400, per_class=20, no_place=0.1)


@pytest.fixture(scope="module")
def written(experiment: Simulated) -> Path:
    folder = experiment.scores.parent / "curves"
    assert curves.main(arguments(experiment, folder, *FURTHER)) == 0
    return folder


def arguments(experiment: Simulated, output: Path, *flags: str) -> list[str]:
    folders = [str(experiment.scores), str(experiment.sample)]
    return [*folders, "--marks", str(experiment.sheet), "-o", str(output), *CHEAP, *flags]


def settings(*flags: str) -> CurvesSettings:
    return load(CurvesSettings, "curves", ["scores", "sample", "-o", "out", *flags])


def summary(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "curves.json").read_text())
    return found


def refused(argv: list[str], capsys: pytest.CaptureFixture[str], code: int = 1) -> str:
    """The one line that the command ends with."""
    assert run("evaluate", {"curves": ("consumer.evaluate.curves.curves:main", "")}, ["curves", *argv]) == code
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_every_table_is_there_with_its_columns(written: Path) -> None:
    assert sorted(path.name for path in written.iterdir()) == sorted(
        [*(f"{name}.csv" for name in COLUMNS), "curves.json"]
    )
    for name, columns in COLUMNS.items():
        table = pd.read_csv(written / f"{name}.csv", keep_default_na=False)
        assert tuple(table.columns) == columns, name
        assert len(table), name


def test_the_summary_says_all_that_one_needs_to_repeat_it(written: Path, experiment: Simulated) -> None:
    found = summary(written)
    assert found["measure"] == "accuracy"
    assert (found["encoder"], found["places"]) == ("simulated", "ten@0123abcd")
    assert found["ids_sha256"] == Scores.open(experiment.scores).info.ids_sha256
    assert found["sample"]["kind"] == "b"
    assert found["settings"]["text_threshold"] == 0.3
    assert Path(found["settings"]["scores"]).is_absolute()
    assert (found["seed"], found["rounds"]) == (205, 100)
    assert found["weightings"] == ["balanced", "frequency"]
    assert found["groups"] == ["all", "with_caption", "without_caption"]
    assert set(found["packages"]) >= {"placestream", "python", "numpy", "scikit-learn", "scipy", "statsmodels"}
    assert [each["verdict"] in ("holds", "does not", "cannot tell") for each in found["findings"]] == [True] * 3
    assert {each["ensemble"] for each in found["ece"]} == {each["name"] for each in found["ensembles"]}
    assert found["marks"]["no_place"] > 0


def test_ensembles_of_the_talk_the_sure_caption_and_those_given_are_in_every_table(written: Path) -> None:
    expected = [
        *(ensemble.name for ensemble in ENSEMBLES),
        "Img x 0.8 + Text x 0.8, text ≥ 0.3",
        "conditional 0.8/0.5",
        "Img x 1 + Text x 1",
    ]
    for name in COLUMNS:
        assert list(pd.read_csv(written / f"{name}.csv")["ensemble"].unique()) == expected, name


def test_raw_thresholds_run_as_far_as_the_weights_reach(written: Path) -> None:
    table = pd.read_csv(written / "curves.csv")
    assert table.groupby("scale")["threshold"].max().to_dict() == {"raw": 2.0, "normalised": 1.0}


def test_the_threshold_of_the_tables_is_one_of_the_curves_whatever_the_step(
    experiment: Simulated, tmp_path: Path
) -> None:
    curves.main(arguments(experiment, tmp_path / "out", "--threshold", "0.437"))
    table = pd.read_csv(tmp_path / "out" / "curves.csv")
    grid = table.groupby("scale")["threshold"].unique()
    assert sorted(grid["normalised"]) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.437, *(n / 10 for n in range(5, 11))])
    assert 0.437 not in grid["raw"]


def test_the_same_seed_gives_the_same_bytes(written: Path, experiment: Simulated, tmp_path: Path) -> None:
    curves.main(arguments(experiment, tmp_path / "again", *FURTHER))
    for path in written.glob("*.csv"):
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_pre_labels_give_agreement_everywhere_and_marks_accuracy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment = simulate(tmp_path, "a", 200, per_class=10)
    folders = [str(experiment.scores), str(experiment.sample)]
    curves.main([*folders, "-o", str(tmp_path / "agreement"), *CHEAP, "--accuracy", "0.5"])
    said = capsys.readouterr().out
    assert "agreement of 7 ensembles" in said
    assert said.count("on your data, by agreement, '") == 3
    curves.main(arguments(experiment, tmp_path / "accuracy", "--accuracy", "0.5"))
    for name in ("agreement", "accuracy"):
        assert summary(tmp_path / name)["measure"] == name
        for table in ("curves", "top1", "coverage", "risk", "reliability", "threshold_choice"):
            assert set(pd.read_csv(tmp_path / name / f"{table}.csv")["measure"]) == {name}, table
    table = pd.read_csv(tmp_path / "accuracy" / "curves.csv")
    assert table.groupby("scale")["threshold"].max().to_dict() == {"raw": 1.6, "normalised": 1.0}
    one, other = (pd.read_csv(tmp_path / name / "top1.csv")[name] for name in ("agreement", "accuracy"))
    assert (one != other).any()
    for path in (tmp_path / "agreement").glob("*.csv"):
        assert "accuracy" not in path.read_text(), path.name
    for path in (tmp_path / "accuracy").glob("*.csv"):
        assert "agreement" not in path.read_text(), path.name
    choice = pd.read_csv(tmp_path / "agreement" / "threshold_choice.csv")
    assert set(choice["wanted"]) == {"agreement"}
    assert {"agreement", "agreement_there"} <= set(choice.columns)
    top1 = pd.read_csv(tmp_path / "agreement" / "top1.csv")
    assert {"agreement", "agreement_low", "agreement_high"} <= set(top1.columns)
    assert not len(pd.read_csv(tmp_path / "agreement" / "denoising.csv"))  # a pre-label cannot say 'no place'


def test_the_worker_s_own_sentence_is_printed_and_classes_of_a_few_posts_are_warned_of(
    experiment: Simulated, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    curves.main(arguments(experiment, tmp_path / "enough"))
    printed = capsys.readouterr()
    assert re.search(
        r"^Of the labels given by conditional 0.8/0.8 at the threshold 0.5, \d+ % were right \(95 %: \d+–\d+ %, \d+ "
        r"judged\); \d+ % of the drawn classes' posts get one$",
        printed.out,
        re.MULTILINE,
    )
    assert "fewer than 10 posts" not in printed.err
    few = simulate(tmp_path / "few", "b", 100, per_class=4)
    curves.main(arguments(few, tmp_path / "out"))
    assert "warning: 10 of 10 classes have fewer than 10 posts to judge by" in capsys.readouterr().err


def test_a_confirmed_pre_label_is_accuracy(tmp_path: Path) -> None:
    """The person saw the pre-label alone; where it is wrong without a correction, other labels are unjudged."""
    experiment = simulate(tmp_path, "a", 200, per_class=10)
    sheet = Sheet.read(experiment.sheet)
    true = experiment.truth
    confirmed = [
        replace(
            post,
            prelabel=post.stratum,
            labels=(post.stratum or "",),
            right=(post.stratum or "",) if post.stratum == true[post.post_id] else (),
            wrong=() if post.stratum == true[post.post_id] else (post.stratum or "",),
        )
        for post in sheet.posts
    ]
    Sheet(sheet.sample, (), tuple(confirmed)).write(experiment.sheet)
    curves.main(arguments(experiment, tmp_path / "out"))
    assert summary(tmp_path / "out")["measure"] == "accuracy"
    top1 = pd.read_csv(tmp_path / "out" / "top1.csv", keep_default_na=False)
    row = top1[(top1["ensemble"] == "OnlyImg") & (top1["group"] == "all") & (top1["weighting"] == "balanced")].iloc[0]
    assert row["correct"] > 0
    assert row["unjudged"] > 0
    assert row["accuracy_low"] < row["accuracy"] < row["accuracy_high"]


def test_unmarked_rows_are_counted_and_named(
    experiment: Simulated, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = Sheet.read(experiment.sheet)
    left = [replace(post, right=(), wrong=(), no_place=False) for post in sheet.posts[:3]]
    part = replace(experiment, sheet=tmp_path / "part.csv")
    Sheet(sheet.sample, sheet.pooled, (*left, *sheet.posts[3:])).write(part.sheet)
    line = refused(arguments(part, tmp_path / "out"), capsys)
    assert f"3 of {len(sheet.posts)} posts are unmarked" in line
    assert not (tmp_path / "out").exists()
    assert curves.main(arguments(part, tmp_path / "out", "--allow-unmarked")) == 0
    assert summary(tmp_path / "out")["marks"]["unmarked"] == 3
    top1 = pd.read_csv(tmp_path / "out" / "top1.csv", keep_default_na=False)
    overall = top1[(top1["stratum"] == "") & (top1["group"] == "all") & (top1["ensemble"] == "OnlyImg")]
    assert overall["unjudged"].tolist() == pytest.approx([3, 3], rel=0.5)


def test_a_label_of_an_unknown_class_is_one_line(
    experiment: Simulated, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strange = replace(experiment, sheet=tmp_path / "strange.csv")
    strange.sheet.write_text(experiment.sheet.read_text().replace("skyscraper", "castle"))
    assert "'castle' is no class of the label set" in refused(arguments(strange, tmp_path / "out"), capsys)


def test_scores_of_other_posts_are_one_line(
    experiment: Simulated, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = simulate(tmp_path, "b", 300, per_class=5)
    line = refused(arguments(replace(experiment, scores=other.scores), tmp_path / "out"), capsys)
    assert "has scores of other posts" in line
    line = refused(arguments(replace(experiment, sheet=other.sheet), tmp_path / "out"), capsys)
    assert "is the sheet of another sample" in line


def test_labels_that_the_sheet_did_not_propose_are_warned_of(experiment: Simulated) -> None:
    scores, sample = Scores.open(experiment.scores), Sample.open(experiment.sample)
    truth = truth_of(sample, experiment.sheet, False, scores.info.categories)
    usual = settings().all_ensembles()
    assert curves.not_proposed(scores, truth, usual) is None, "a sure caption's labels are others', too"
    other = replace(scores, info=replace(scores.info, encoder="other"))
    assert "did not propose the labels of other with ten@0123abcd:" in (curves.not_proposed(other, truth, usual) or "")
    further = (*usual, parse("ensemble:1,0"))
    assert "propose the labels of Img x 1 + Text x 0:" in (curves.not_proposed(scores, truth, further) or "")
    asked_for_prelabels = replace(truth, pooled=())
    assert curves.not_proposed(other, asked_for_prelabels, further) is None


def test_a_folder_of_something_else_is_left_alone(
    experiment: Simulated, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    assert "holds no earlier curves" in refused(arguments(experiment, tmp_path), capsys)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--ensemble", "both:1,1"), "ENSEMBLE: --ensemble 'both:1,1': must be KIND"),
        (("--text-threshold", "1.5"), "TEXT_THRESHOLD"),
        (("--rounds", "5"), "ROUNDS"),
        (("--accuracy", "0"), "ACCURACY"),
    ],
)
def test_wrong_settings_are_named(flags: tuple[str, ...], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        settings(*flags)


def test_ensembles_may_be_given_together_or_one_by_one() -> None:
    once = settings("--ensemble", "ensemble:1,1,conditional:0.8,0.5:0.7")
    twice = settings("--ensemble", "ensemble:1,1", "--ensemble", "conditional:0.8,0.5:0.7")
    names = [ensemble.name for ensemble in once.all_ensembles()]
    assert names[-2:] == ["Img x 1 + Text x 1", "conditional 0.8/0.5 (> 0.7)"]
    assert once.all_ensembles() == twice.all_ensembles()


def test_the_workers_own_ensemble_in_the_environment_is_one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACESTREAM_ENSEMBLE", "conditional")
    assert len(settings().all_ensembles()) == len(ENSEMBLES) + 1  # it is among the talk's


def test_ensembles_that_need_captions_nobody_encoded_are_left_out_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Never as if these posts had no caption: of what is decided without them no figure changes."""
    experiment = simulate(tmp_path / "x", "c", 200)
    whole, live = tmp_path / "whole", tmp_path / "live"
    assert curves.main(arguments(experiment, whole)) == 0
    as_a_worker_leaves_it(experiment.scores)
    capsys.readouterr()

    assert curves.main(arguments(experiment, live)) == 0

    left = ["OnlyImg", "conditional 0.8/0.8", "conditional 0.8/0.2"]
    said = capsys.readouterr()
    assert "warning: ensembles are left out: not every caption was encoded that is needed by OnlyText (" in said.err
    assert "Img x 0.8 + Text x 0.8 (" in said.err
    assert "Of the labels given by conditional 0.8/0.8" in said.out
    assert [each["name"] for each in summary(live)["ensembles"]] == left
    assert (summary(live)["findings"], summary(live)["left_out"] in said.err) == ([], True)
    for name in ("curves", "risk"):
        before, after = (pd.read_csv(folder / f"{name}.csv") for folder in (whole, live))
        before = before[before["ensemble"].isin(left)].reset_index(drop=True)
        pd.testing.assert_frame_equal(after, before)


def test_another_label_set_needs_no_new_scores(
    experiment: Simulated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    places = other_places(monkeypatch, tmp_path)

    assert curves.main(arguments(experiment, tmp_path / "out", "--places", str(places), "--allow-unmarked")) == 0

    assert summary(tmp_path / "out")["places"] == "reworded@89abcdef"
    assert "the sheet did not propose the labels of simulated with reworded@89abcdef" in capsys.readouterr().err
