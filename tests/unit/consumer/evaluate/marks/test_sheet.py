import base64
import hashlib
import json
import re
import shutil
import tracemalloc
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from consumer.evaluate.marks import sheet
from consumer.evaluate.marks.gallery import Shown
from consumer.evaluate.marks.marks import Sheet
from consumer.evaluate.marks.sheet import pool, prelabels
from consumer.evaluate.samples.folder import Sample
from consumer.evaluate.scores.decide import ENSEMBLES, decide, parse
from consumer.evaluate.scores.folder import Scores
from producer.base.errors import CommandError, UsageError
from tests.unit.consumer.evaluate.pictures import CAPTIONS, NASTY, write_pictures
from tests.unit.consumer.evaluate.simulated import CATEGORIES, Simulated, simulate, write_scores


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    return simulate(tmp_path_factory.mktemp("b") / "x", posts=60, per_class=3)


@pytest.fixture(scope="module")
def other(simulated: Simulated) -> Scores:
    """Scores of the same posts by another model."""
    true = np.array([CATEGORIES.index(place) for place in simulated.truth.values() if place])
    folder = simulated.scores.parent / "other"
    return write_scores(folder, true, 0.8, 1.6, 1.2, np.random.default_rng(99), encoder="other")


@pytest.fixture(scope="module")
def written(simulated: Simulated, other: Scores) -> Path:
    write_pictures(simulated.sample)
    folder = simulated.scores.parent / "sheet"
    assert sheet.main([str(simulated.sample), "--scores", str(other.folder), "-o", str(folder)]) == 0
    return folder


def data(folder: Path) -> Any:
    html = (folder / "index.html").read_text("utf-8")
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    return json.loads(text)


def test_every_label_that_an_ensemble_or_another_model_proposes_is_there_once(
    simulated: Simulated, other: Scores
) -> None:
    sample = Sample.open(simulated.sample)
    folders = [Scores.open(simulated.scores), other]
    questions = pool(sample, folders)
    assert {each.post.post_id for each in questions} == {post.post_id for post in sample.posts}
    more_than_one = 0
    for question in questions:
        wanted = {
            scores.info.categories[label]
            for scores in folders
            for ensemble in ENSEMBLES
            for label in decide(ensemble, scores.of([question.post.post_id]), scores.info).label
            if label >= 0
        }
        assert set(question.labels) == wanted
        assert len(question.labels) == len(wanted)
        more_than_one += len(wanted) > 2
    assert more_than_one > 5
    alone = pool(sample, folders[:1])
    one, two = (pool(sample, folders[:1], chosen) for chosen in (ENSEMBLES[:1], [ENSEMBLES[0], parse("ensemble:0,1")]))
    assert sum(len(each.labels) for each in one) == len(sample.posts) < sum(len(each.labels) for each in two)
    assert sum(len(each.labels) for each in alone) < sum(len(each.labels) for each in questions)


def test_the_order_says_nothing_and_does_not_depend_on_the_sample_s(simulated: Simulated, other: Scores) -> None:
    sample = Sample.open(simulated.sample)
    questions = pool(sample, [Scores.open(simulated.scores), other])
    assert questions == pool(replace(sample, posts=sample.posts[::-1]), [other, Scores.open(simulated.scores)])
    assert questions != pool(replace(sample, seed=2), [Scores.open(simulated.scores), other])
    strata = [each.post.stratum for each in questions]
    assert strata not in (sorted(strata, key=str), [post.stratum for post in sample.posts])
    first = [each.post.stratum == each.labels[0] for each in questions if len(each.labels) > 1]
    assert 0 < sum(first) < len(first), "the picture's own label is not always at the same place"


def test_the_csv_is_an_empty_sheet_without_prelabels_that_names_what_was_pooled(
    written: Path, simulated: Simulated
) -> None:
    found = Sheet.read(written / "sheet.csv", CATEGORIES)
    assert found.sample == Sample.open(simulated.sample).sha256
    assert found.pooled == ("simulated|ten@0123abcd", "other|ten@0123abcd")
    assert all(post.unmarked for post in found.posts)
    assert [post.post_id for post in found.posts] == [post["id"] for post in data(written)["posts"]]
    assert {post.prelabel for post in found.posts} == {None}


def test_a_further_ensemble_proposes_labels_and_is_named(simulated: Simulated, written: Path, tmp_path: Path) -> None:
    flags = ["--ensemble", "ensemble:0.2,0.8", "--ensemble", "conditional:0.2,0.8:0.5:0.3"]
    assert sheet.main([str(simulated.sample), "-o", str(tmp_path / "sheet"), *flags]) == 0
    names = tuple(ensemble.name for ensemble in ENSEMBLES)
    further = "Img x 0.2 + Text x 0.8", "conditional 0.2/0.8 (> 0.5), text ≥ 0.3"
    assert Sheet.read(tmp_path / "sheet" / "sheet.csv").ensembles == (*names, *further)
    assert Sheet.read(written / "sheet.csv").ensembles == names


def test_the_page_shows_neither_model_nor_class_and_escapes_captions(written: Path) -> None:
    html = (written / "index.html").read_text("utf-8")
    outside = re.sub(r'<script type="application/json".*?</script>', "", html, flags=re.DOTALL)
    for name in ("simulated", "other|", "OnlyImg", "conditional", "bridge", "harbor"):
        assert name not in outside
    assert html.count("</script>") == 2, "no caption ends a script"
    assert NASTY in [post["caption"] for post in data(written)["posts"]]
    assert max(len(post["caption"]) for post in data(written)["posts"]) == 2_200


def test_the_page_says_that_a_true_place_makes_the_unmarked_labels_wrong(written: Path) -> None:
    html = (written / "index.html").read_text("utf-8")
    assert html.count("every label that is neither named nor marked right then counts as wrong") == 1
    assert html.count("labels that you neither name nor mark right then count as wrong") == 1
    assert "is taken for what the picture shows" not in html


def test_the_page_allows_its_own_script_and_style_and_nothing_else(written: Path) -> None:
    html = (written / "index.html").read_text("utf-8").replace("&#39;", "'")
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="(.*?)"', html)
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for element, directive in (("style", "style-src"), ("script", "script-src")):
        (inner,) = re.findall(rf"<{element}>(.*?)</{element}>", (written / "index.html").read_text("utf-8"), re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    markup = re.sub(r"<script.*?</script>|<style.*?</style>", "", html, flags=re.DOTALL)
    assert not re.search(r"""\son\w+=|\sstyle=|https?:|javascript:""", markup)


def test_pictures_are_small_enough_and_without_the_camera_s_data(written: Path) -> None:
    paths = sorted((written / "pictures").iterdir())
    assert [f"pictures/{path.name}" for path in paths] == [post["picture"] for post in data(written)["posts"]]
    sizes = {Image.open(path).size for path in paths}
    assert sizes == {(1_000, 500), (60, 40)}
    assert not any(b"SECRET CAMERA" in path.read_bytes() for path in paths)


def test_prelabels_are_confirmed_without_any_model_s_answer(tmp_path: Path) -> None:
    of_a = simulate(tmp_path / "a", "a", posts=40, per_class=2)
    write_pictures(of_a.sample)
    assert sheet.main([str(of_a.sample), "--confirm-prelabels", "-o", str(tmp_path / "sheet")]) == 0
    found = Sheet.read(tmp_path / "sheet" / "sheet.csv")
    assert found.pooled == ()
    assert all(post.labels == (post.prelabel,) for post in found.posts)
    html = (tmp_path / "sheet" / "index.html").read_text("utf-8")
    assert "Is this label right?" in html
    assert "A label that you mark right is taken for what the picture shows: every other label then counts as" in html


def test_a_sample_without_prelabels_has_none_to_confirm(simulated: Simulated) -> None:
    with pytest.raises(CommandError, match=r"^--confirm-prelabels: .* has no pre-labels; evaluate sample-a draws"):
        prelabels(Sample.open(simulated.sample))


def test_scores_of_other_posts_or_another_label_set_are_refused(simulated: Simulated, tmp_path: Path) -> None:
    sample = Sample.open(simulated.sample)
    fewer = write_scores(tmp_path / "fewer", np.zeros(20, np.int64), 0.8, 1.6, 1.2, np.random.default_rng(1))
    with pytest.raises(CommandError, match="has scores of other posts"):
        pool(sample, [fewer])
    with pytest.raises(CommandError, match="has another label set"):
        pool(replace(sample, categories=("bridge", "sky")), [Scores.open(simulated.scores)])


def test_what_cannot_be_shown_or_written_is_one_line(simulated: Simulated, tmp_path: Path, written: Path) -> None:
    sample = str(simulated.sample)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear …")
    with pytest.raises(CommandError, match="is not empty and no earlier sheet: choose another folder$"):
        sheet.main([sample, "-o", str(tmp_path / "full")])
    with pytest.raises(CommandError, match="no such file or folder$"):
        sheet.main([sample, "--dataset", str(tmp_path / "nowhere"), "-o", str(tmp_path / "new")])
    elsewhere = tmp_path / "moved"
    (elsewhere / "img" / "chicago").mkdir(parents=True)
    Image.new("RGB", (9, 9)).save(elsewhere / "img" / "chicago" / "1.jpg")
    (elsewhere / "captions").mkdir()
    with pytest.raises(CommandError, match=r"moved has no post 14\d+ and \d+ more; --dataset says where the pictures"):
        sheet.main([sample, "--dataset", str(elsewhere), "-o", str(tmp_path / "new")])
    assert not (tmp_path / "new" / "index.html").exists()
    with pytest.raises(UsageError, match="OUTPUT"):
        sheet.main([sample])


def test_a_score_folder_that_has_moved_can_be_told_where(tmp_path: Path) -> None:
    experiment = simulate(tmp_path / "x", posts=40, per_class=2)
    write_pictures(experiment.sample)
    moved = tmp_path / "moved"
    experiment.scores.rename(moved)
    argv = [str(experiment.sample), "-o", str(tmp_path / "sheet")]
    with pytest.raises(
        CommandError, match=r"scores, from which .* was drawn, is not there: --sample-scores says where"
    ):
        sheet.main(argv)
    true = np.array([CATEGORIES.index(place) for place in experiment.truth.values() if place])
    write_scores(tmp_path / "other", true, 0.8, 1.6, 1.2, np.random.default_rng(1), encoder="other")
    with pytest.raises(CommandError, match=r"other is not what .* was drawn from: that is simulated with ten@0123abcd"):
        sheet.main([*argv, "--sample-scores", str(tmp_path / "other")])
    assert sheet.main([*argv, "--sample-scores", str(moved)]) == 0


def test_no_more_than_a_picture_is_in_memory_at_a_time(
    simulated: Simulated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 2_000_000

    def large(dataset: Path, post_ids: Collection[str], side: int) -> Iterator[Shown]:
        for post_id in post_ids:
            yield Shown(post_id, bytes(size), 1_000, 500, None)

    monkeypatch.setattr(sheet, "shown", large)
    posts = len(Sample.open(simulated.sample).posts)
    tracemalloc.start()
    try:
        assert sheet.main([str(simulated.sample), "-o", str(tmp_path / "sheet")]) == 0
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < peak < 4 * size < posts * size / 5


def test_marks_are_never_overwritten(simulated: Simulated, written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sheet"
    shutil.copytree(written, folder)
    again = [str(simulated.sample), "-o", str(folder)]
    assert sheet.main(again) == 0, "an empty sheet may be written again"
    empty = Sheet.read(folder / "sheet.csv")
    replace(empty, posts=(replace(empty.posts[0], cannot_tell=True), *empty.posts[1:])).write(folder / "sheet.csv")
    marked = (folder / "sheet.csv").read_bytes()
    with pytest.raises(CommandError, match=r"sheet.csv holds marks of 1 of \d+ posts, .*: choose another folder$"):
        sheet.main(again)
    assert (folder / "sheet.csv").read_bytes() == marked


def test_the_mood_of_english_captions_is_asked_when_wanted(simulated: Simulated, written: Path, tmp_path: Path) -> None:
    assert [post["mood"] for post in data(written)["posts"]] == [False] * len(data(written)["posts"])
    assert "data-mood" not in re.sub("<script>.*</script>", "", (written / "index.html").read_text("utf-8"), flags=re.S)
    assert sheet.main([str(simulated.sample), "-o", str(tmp_path / "moods"), "--mood"]) == 0
    asked = [post["caption"] for post in data(tmp_path / "moods")["posts"] if post["mood"]]
    assert set(asked) == set(CAPTIONS[:1] + CAPTIONS[2:3]), "neither no caption nor one of no language"


def test_a_sheet_with_moods_alone_is_not_overwritten(simulated: Simulated, written: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(written, tmp_path / "sheet"))
    marked = Sheet.read(copied / "sheet.csv")
    replace(marked, posts=(replace(marked.posts[0], mood="neutral"), *marked.posts[1:])).write(copied / "sheet.csv")
    with pytest.raises(CommandError, match="holds marks of 1 of"):
        sheet.main([str(simulated.sample), "-o", str(copied)])


def test_pictures_of_an_earlier_larger_sheet_are_deleted(simulated: Simulated, written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sheet"
    shutil.copytree(written, folder)
    number = len(data(folder)["posts"])
    for name in (f"{number + 1:05d}.jpg", "mine.jpg"):
        (folder / "pictures" / name).write_bytes(b"old")
    assert sheet.main([str(simulated.sample), "-o", str(folder)]) == 0
    kept = sorted(path.name for path in (folder / "pictures").iterdir())
    assert kept == [*(f"{each:05d}.jpg" for each in range(1, number + 1)), "mine.jpg"]
