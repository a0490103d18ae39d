import base64
import csv
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pytest

from consumer.evaluate.curves import curves
from consumer.evaluate.curves.compare import COMPARED
from consumer.evaluate.curves.savings import savings
from consumer.evaluate.marks.marks import Sheet
from consumer.evaluate.marks.truth import truth_of
from consumer.evaluate.report import report
from consumer.evaluate.report.fates import fates
from consumer.evaluate.report.found import TABLES, Found
from consumer.evaluate.report.plots import PLOTS
from consumer.evaluate.report.report import ReportSettings
from consumer.evaluate.samples.folder import Sample
from consumer.evaluate.scores.decide import ENSEMBLES, decide
from consumer.evaluate.scores.folder import Scores
from producer.base.errors import CommandError, UsageError
from producer.base.settings import load
from tests.unit.consumer.evaluate.pictures import write_pictures
from tests.unit.consumer.evaluate.simulated import Simulated, simulate

CONDITIONAL = ENSEMBLES[4]


def computed(of: Simulated, *flags: str) -> Path:
    folder = of.scores.parent / "curves"
    shared = [str(of.scores), str(of.sample), "-o", str(folder), "--rounds", "100", "--step", "0.1"]
    assert curves.main([*shared, *flags]) == 0
    return folder


@pytest.fixture(scope="module")
def of_b(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    made = simulate(tmp_path_factory.mktemp("b") / "x", posts=200, per_class=8, no_place=0.2)
    write_pictures(made.sample)
    computed(made, "--marks", str(made.sheet), "--coverage", "0.5", "--accuracy", "0.3")
    return made


@pytest.fixture(scope="module")
def of_a(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    made = simulate(tmp_path_factory.mktemp("a") / "x", "a", posts=120, per_class=5)
    computed(made, "--accuracy", "0.3")
    return made


def write(of: Simulated, path: Path, *flags: str) -> str:
    folder = of.scores.parent / "curves"
    assert report.main([str(folder), "--sample", str(of.sample), "-o", str(path), *flags]) == 0
    return path.read_text("utf-8")


@pytest.fixture
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes seconds."""
    monkeypatch.setattr(report, "drawn", lambda found: ())


@pytest.fixture(scope="module")
def written(of_b: Simulated) -> Path:
    page = of_b.scores.parent / "report.html"
    write(of_b, page)
    return page


@pytest.fixture
def copied(of_b: Simulated, tmp_path: Path) -> Path:
    """Curves that a test may spoil."""
    return Path(shutil.copytree(of_b.scores.parent / "curves", tmp_path / "curves"))


def text_of(html: str) -> str:
    body = re.sub(r"<style>.*?</style>|data:image/[a-z]+;base64,[^\"]+", "", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def test_the_page_is_one_file_with_its_figures_and_loads_nothing(written: Path) -> None:
    html = written.read_text("utf-8")
    assert "<script" not in html
    assert not re.search(r"(?:src|href)=(?!\"(?:data:image/(?:png|jpeg);base64,|#))", html)
    inlined = {base64.b64decode(text) for text in re.findall(r"data:image/png;base64,([^\"]+)", html)}
    figures = {path.read_bytes() for path in written.with_suffix("").glob("*.png")}
    assert inlined == figures
    assert len(figures) == len(PLOTS)


def test_the_numbers_lie_beside_it(written: Path, of_b: Simulated) -> None:
    for name in TABLES:
        rows = [
            list(csv.DictReader((folder / f"{name}.csv").read_text("utf-8").splitlines()))
            for folder in (written.with_suffix(""), of_b.scores.parent / "curves")
        ]
        assert [list(row) for row in rows[0]] == [list(row) for row in rows[1]]
        assert len(rows[0]) == len(rows[1])


def test_figures_and_tables_say_how_to_read_them(written: Path) -> None:
    html = written.read_text("utf-8")
    assert html.count('<figcaption class="how">') == len(PLOTS)
    assert html.count("<table>") == html.count("<caption>")
    assert all(alt for alt in re.findall(r'<img [^>]*alt="([^"]*)"', html))


def test_settings_seeds_model_label_set_fingerprint_and_versions_are_there(written: Path, of_b: Simulated) -> None:
    text = text_of(written.read_text("utf-8"))
    info = Scores.open(of_b.scores).info
    for known in (
        "simulated with ten@0123abcd",
        info.ids_sha256,
        Sample.open(of_b.sample).sha256,
        "seed 205",
        "rounds=100",
        "scikit-learn",
        "matplotlib",
        "experiment B",
    ):
        assert known in text, known


@pytest.mark.usefixtures("_no_figures")
def test_the_verdicts_are_those_of_the_curves(of_b: Simulated, copied: Path, tmp_path: Path) -> None:
    summary = json.loads((copied / "curves.json").read_text("utf-8"))
    for finding, verdict in zip(summary["findings"], ("holds", "does not", "cannot tell"), strict=True):
        finding["verdict"] = verdict
    summary["findings"][2] |= {"estimate": None, "low": None, "high": None}
    (copied / "curves.json").write_text(json.dumps(summary))
    report.main([str(copied), "--sample", str(of_b.sample), "-o", str(tmp_path / "r.html"), "--no-pictures"])
    text = text_of((tmp_path / "r.html").read_text("utf-8"))
    assert "✓ holds : ensemble 2 (Img x 0.8 + Text x 0.8) is more accurate from 0.4 on" in text
    assert "✗ does not : ensemble 2 (Img x 0.8 + Text x 0.8) recovers far fewer images" in text
    assert "? cannot tell : the conditional does not beat ensemble 2 (Img x 0.8 + Text x 0.8) Too few posts" in text


@pytest.mark.usefixtures("_no_figures")
def test_agreement_is_never_called_accuracy(of_a: Simulated, written: Path, tmp_path: Path) -> None:
    text = text_of(write(of_a, tmp_path / "a.html", "--no-pictures"))
    assert "Agreement, not accuracy." in text
    assert "everything here is agreement" in text
    assert "agreement ≥ 30 %" in text
    for said in (
        "Agreement, not accuracy.",
        "For accuracy let a person confirm",
        "The findings are about accuracy",
        "accuracy=0.3",  # the flag
    ):
        assert said in text, said
        text = text.replace(said, "")
    assert "accuracy" not in text.lower()
    tables = [path.read_text("utf-8") for path in (tmp_path / "a").glob("*.csv")]
    assert len(tables) == len(TABLES) + 1
    assert not any("accuracy" in table for table in tables)
    text = text_of(written.read_text("utf-8"))
    assert "everything here is accuracy" in text
    assert "accuracy ≥ 30 %" in text
    assert "agreement" not in text.replace("evaluate agreement", "").lower()


def test_the_page_begins_with_the_sentence_to_quote_and_no_other_figure_is_bold(written: Path, of_b: Simulated) -> None:
    """Without a threshold every picture of no place counts as wrong: that is said where it stands."""
    html = written.read_text("utf-8")
    (lead,) = re.findall(r'<p class="lead"><strong>(.*?)\.</strong>', html)
    rows = csv.DictReader((of_b.scores.parent / "curves" / "curves.csv").read_text("utf-8").splitlines())
    wanted = {"ensemble": CONDITIONAL.name, "scale": "normalised", "threshold": "0.5", "group": "all", "stratum": ""}
    (row,) = [row for row in rows if row.items() >= (wanted | {"weighting": "frequency"}).items()]
    given, right = f"Of the labels given by {CONDITIONAL.name} at the threshold 0.5", float(row["accuracy"])
    assert lead.startswith(f"{given}, {100 * right:.0f} % were right")
    assert f"{row['judged']} judged); {100 * float(row['recovered']):.0f} % of the drawn classes" in lead
    assert not [bold for bold in re.findall(r"<strong>(.*?)</strong>", html.split('id="saved"')[0]) if "%" in bold][1:]
    no_place = sum(place is None for place in (of_b.truth[post.post_id] for post in Sample.open(of_b.sample).posts))
    assert f"so each of the {no_place} pictures that show no place counts as wrong" in text_of(html)


def test_classes_of_a_few_posts_are_said_on_the_page(written: Path) -> None:
    assert "10 of 10 classes have fewer than 10 posts to judge by: intervals over all posts are too narrow" in text_of(
        written.read_text("utf-8")
    )


@pytest.mark.usefixtures("_no_figures")
def test_bounds_are_shown_only_where_something_is_unjudged(
    written: Path, of_b: Simulated, copied: Path, tmp_path: Path
) -> None:
    broader = "of these answers are right"  # which nobody proposed: some are unjudged
    tables = re.findall(r"<table>.*?</table>", written.read_text("utf-8"), re.DOTALL)
    assert [broader in table for table in tables if "bounds</th>" in table] == [True]
    for path in (copied / "top1.csv", copied / "curves.csv"):
        pd.read_csv(path, keep_default_na=False).assign(unjudged=1).to_csv(path, index=False)
    report.main([str(copied), "--sample", str(of_b.sample), "-o", str(tmp_path / "r.html"), "--no-pictures"])
    html = (tmp_path / "r.html").read_text("utf-8")
    assert html.count("bounds</th>") == 4
    for table in re.findall(r"<table>.*?</table>", html, re.DOTALL):
        columns = len(re.findall(r'<th scope="col"', table))
        for line in re.findall(r'<tr><th scope="row">.*?</tr>', table, re.DOTALL):
            assert len(re.findall(r"<t[hd][ >]", line)) == columns, "a cell for each column"


@pytest.mark.usefixtures("_no_figures")
def test_the_table_at_one_threshold_says_which_it_is(of_a: Simulated, written: Path, tmp_path: Path) -> None:
    text = text_of(written.read_text("utf-8"))
    assert "What happens at the threshold 0.5 on" in text
    assert "the nearest to" not in text
    text = text_of(write(of_a, tmp_path / "a.html", "--no-pictures", "--threshold", "0.437"))
    assert "What happens at the threshold 0.4 on" in text
    assert "It is the nearest to 0.437 that the curves have: evaluate curves --threshold 0.437 computes" in text


@pytest.mark.usefixtures("_no_figures")
def test_broader_answers_are_shown_at_the_threshold_that_the_curves_have_for_them(tmp_path: Path) -> None:
    of = simulate(tmp_path / "x", "c", posts=100)
    computed(of, "--marks", str(of.sheet), "--threshold", "0.7")
    for flags in ((), ("--threshold", "0.3")):
        text = text_of(write(of, tmp_path / "r.html", "--no-pictures", *flags))
        assert "no place reaches the threshold of 0.7, a group of places whose probabilities together reach 0.7" in text


@pytest.mark.usefixtures("_no_figures")
@pytest.mark.parametrize("kind", ["b", "c"])
def test_every_class_has_its_numbers(of_b: Simulated, tmp_path: Path, kind: Literal["b", "c"]) -> None:
    of = of_b if kind == "b" else simulate(tmp_path / "x", "c", posts=100)
    if kind == "c":
        computed(of, "--marks", str(of.sheet))
    html = write(of, tmp_path / "r.html", "--no-pictures")
    (shown,) = re.findall(r'aria-label="accuracy per class"><table>(.*?)</table>', html, re.DOTALL)
    rows = csv.DictReader((of.scores.parent / "curves" / "top1.csv").read_text("utf-8").splitlines())
    wanted = [row for row in rows if row["stratum"] and row["group"] == "all" and row["ensemble"] == CONDITIONAL.name]
    assert len(wanted) == 10
    for row in wanted:
        place, correct = row["stratum"].replace("_", " ").replace("/", " / "), float(row["correct"])
        assert re.search(
            rf"{place} {CONDITIONAL.name} {100 * float(row['accuracy']):.1f} % .* {correct:.0f} ", text_of(shown)
        ), place
    text = text_of(html)
    assert ("among the 10 drawn classes. Neither speaks of the other classes" in text) == (kind == "b")
    assert ("by which this sample's posts are grouped" in html.replace("&#39;", "'")) == (kind == "c")


def test_the_gallery_counts_what_the_curves_count(of_b: Simulated) -> None:
    sample, scores = Sample.open(of_b.sample), Scores.open(of_b.scores)
    truth = truth_of(sample, of_b.sheet, True, scores.info.categories)
    rows = csv.DictReader((of_b.scores.parent / "curves" / "curves.csv").read_text("utf-8").splitlines())
    wanted = {
        row["stratum"]: tuple(float(row[name]) for name in ("correct", "incorrect", "not_classified"))
        for row in rows
        if row["ensemble"] == CONDITIONAL.name and row["scale"] == "normalised" and row["threshold"] == "0.5"
        if row["stratum"] and row["group"] == "all"
    }
    found = list(fates(sample, scores, truth, CONDITIONAL, 0.5, 3, 99))
    assert {
        each.place: (each.correct.total, each.incorrect.total, each.not_classified.total) for each in found
    } == wanted
    for each in found:
        assert all(len(column.posts) <= 3 for column in (each.correct, each.incorrect, each.not_classified))
        assert all(of_b.truth[post.post_id] == post.label for post in each.correct.posts)
        assert all(of_b.truth[post.post_id] != post.label for post in each.incorrect.posts)
        assert all(post.confidence < 0.5 for post in each.not_classified.posts)
    assert list(fates(sample, scores, truth, CONDITIONAL, 0.5, 3, 2)) == found[:2]


@pytest.mark.usefixtures("_no_figures")
def test_the_gallery_has_three_columns_of_pictures_and_can_be_left_out(
    written: Path, of_b: Simulated, tmp_path: Path
) -> None:
    html = written.read_text("utf-8")
    assert html.count('class="correct"') == html.count('class="incorrect"') == html.count('class="rest"') == 10
    assert html.count("data:image/jpeg") > 30
    without = write(of_b, tmp_path / "without.html", "--no-pictures", "--dataset", str(tmp_path / "nowhere"))
    assert "data:image/jpeg" not in without
    assert "Gallery" not in without


@pytest.mark.usefixtures("_no_figures")
def test_marked_moods_are_held_against_vader(of_b: Simulated, tmp_path: Path) -> None:
    sample = Sample.open(of_b.sample)
    whole = Sheet.read(of_b.sheet)
    moods = replace(whole, posts=tuple(replace(post, mood="positive") for post in whole.posts))
    moods.write(tmp_path / "marks.csv")
    caption = "what a lovely day, I love this city"
    for post in sample.posts:
        (tmp_path / "captions" / post.city).mkdir(parents=True, exist_ok=True)
        (tmp_path / "captions" / post.city / f"{post.post_id}.txt").write_text(caption, "utf-8")
    shutil.copytree(sample.dataset / "img", tmp_path / "img")
    folder = tmp_path / "curves"
    flags = ["--marks", str(tmp_path / "marks.csv"), "--rounds", "100", "--step", "0.1"]
    assert curves.main([str(of_b.scores), str(of_b.sample), "-o", str(folder), *flags]) == 0
    page = tmp_path / "report.html"
    told = ["--sample", str(of_b.sample), "--dataset", str(tmp_path), "--no-pictures", "-o", str(page)]
    assert report.main([str(folder), *told]) == 0

    posts = len(sample.posts)
    assert f"Of {posts} English captions that VADER scores it gives 100.0 % the mood" in text_of(
        page.read_text("utf-8")
    )
    rows = csv.DictReader((tmp_path / "report" / "moods.csv").read_text("utf-8-sig").splitlines())
    assert [(row["by_vader"], row["captions"]) for row in rows if row["by_person"] == "positive"] == [
        ("negative", "0"),
        ("neutral", "0"),
        ("positive", str(posts)),
    ]


def test_captions_saved_are_those_of_sure_pictures(of_b: Simulated) -> None:
    scores = Scores.open(of_b.scores)
    part = scores.of(list(of_b.truth))
    decided = decide(CONDITIONAL, part, scores.info)
    (found,) = savings(scores.parts(), scores.info, (0.6,))
    assert (found.posts, found.captions) == (200, int(part.has_text.sum()))
    assert found.saved == int((decided.by_image & part.has_text).sum())
    assert 0 < found.saved < found.captions


@pytest.mark.usefixtures("_no_figures")
def test_what_compare_wrote_is_shown(of_b: Simulated, tmp_path: Path) -> None:
    row = dict.fromkeys(COMPARED, "0") | {"one": "<b>one</b>", "other": "two", "coverage": "", "difference": "-0.05"}
    row |= {"posts": "80", "p": "0.0123", "p_holm": "0.0246", "measure": "accuracy", "ensemble": "OnlyImg"}
    table = tmp_path / "compared.csv"
    table.write_text(f"{','.join(row)}\n{','.join(row.values())}\n")
    html = write(of_b, tmp_path / "r.html", "--no-pictures", "--compare", str(table))
    assert "&lt;b&gt;one&lt;/b&gt; two OnlyImg no threshold accuracy 80" in text_of(html)
    assert "−5.0" in html
    assert "0.025" in html
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(CommandError, match="no column measure, ensemble, .*: evaluate compare -o writes such a CSV"):
        write(of_b, tmp_path / "r.html", "--no-pictures", "--compare", str(tmp_path / "other.csv"))


def broken_summary(folder: Path, **changes: Any) -> None:
    path = folder / "curves.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "curves.json").unlink(), "holds no curves .no curves.json.: evaluate curves writes"),
        (lambda folder: (folder / "curves.json").write_text("{"), r"curves.json cannot be read: "),
        (lambda folder: broken_summary(folder, version=99), "is of version 99; this program reads 4: compute them"),
        (lambda folder: broken_summary(folder, sample={"sha256": "0"}), "are the curves of another sample than"),
        (lambda folder: broken_summary(folder, encoder="clip"), "are of clip with ten@0123abcd, .* is of simulated"),
        (lambda folder: broken_summary(folder, measure="agreement"), "show agreement, but --marks would show accuracy"),
        (lambda folder: (folder / "risk.csv").unlink(), "risk.csv cannot be read: .*; run evaluate curves again"),
    ],
)
def test_what_does_not_fit_is_one_line(
    of_b: Simulated, copied: Path, tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    spoil(copied)
    with pytest.raises(CommandError, match=message):
        report.main([str(copied), "--sample", str(of_b.sample), "-o", str(tmp_path / "r.html"), "--no-pictures"])


def test_marks_that_changed_since_the_curves_are_refused(of_b: Simulated, tmp_path: Path) -> None:
    """The gallery would show other verdicts than the tables count."""
    changed = tmp_path / "marks.csv"
    sheet = Sheet.read(of_b.sheet)
    replace(sheet, posts=(replace(sheet.posts[0], cannot_tell=True), *sheet.posts[1:])).write(changed)
    folder = str(of_b.scores.parent / "curves")
    argv = [folder, "--sample", str(of_b.sample), "-o", str(tmp_path / "r.html"), "--no-pictures"]
    with pytest.raises(CommandError, match=r"marks.csv is not as it was when .* was computed from it: run evaluate"):
        report.main([*argv, "--marks", str(changed)])
    moved = tmp_path / "moved.csv"
    shutil.copy(of_b.sheet, moved)
    assert Found.read(Path(folder), of_b.sample, None, moved, None).measure == "accuracy"


def test_wrong_flags_are_one_line(of_b: Simulated) -> None:
    shared = [str(of_b.scores.parent / "curves"), "--sample", str(of_b.sample)]
    for flags, message in (
        (["-o", "report.pdf"], "must end in .html"),
        (["-o", "r.html", "--ensemble", "majority"], "setting ENSEMBLE: --ensemble 'majority': must be"),
    ):
        with pytest.raises(UsageError, match=message):
            load(ReportSettings, "x", [*shared, *flags])
