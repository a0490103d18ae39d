"""From the sample dataset to the report, each step by its command, with the real stand-in model and a known truth."""

import csv
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from consumer.evaluate import command
from consumer.evaluate.marks import PostMarks, Sheet
from consumer.evaluate.sample import Sample
from consumer.evaluate.scores import Scores
from producer.dataset import open_dataset
from producer.entry import Entry
from producer.photographs import PHOTOGRAPHS
from producer.sample import Source, _drafts, write_sample

SHOWS = {
    "china.jpg": ("palace", "pagoda", "temple/east_asia"),
    "motorcycle_left.png": ("garage",),
    "coffee.png": ("coffee_shop",),
    "camera.png": ("field/wild", "pasture", "park"),
    "flower.jpg": ("botanical_garden", "formal_garden", "vegetable_garden"),
    "rocket.jpg": ("lighthouse", "tower"),
    "brick.png": ("alley",),
    "grass.png": ("golf_course", "pasture", "field/wild"),
}
"""What a person would say that a photograph shows; the others show no place."""
POSTS = 60


def truth() -> dict[str, str]:
    """Post of the sample dataset -> file of the photograph it was made from."""
    sources = [Source(photo.path(), photo.weight, photo.hours, photo.captions) for photo in PHOTOGRAPHS]
    return {draft.post_id: draft.source.path.name for draft in _drafts(sources, [])}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every fifth post of the sample dataset."""
    whole = tmp_path_factory.mktemp("whole") / "sample"
    write_sample(whole)
    few = tmp_path_factory.mktemp("dataset") / "few"
    chosen = [entry for entry in open_dataset(whole).entries() if isinstance(entry, Entry)][:: 300 // POSTS]
    for entry in chosen:
        captions = entry.caption if isinstance(entry.caption, tuple) else ()
        for path in (entry.picture, *captions):
            copy = few / path.relative_to(whole)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    return few


def evaluate(*arguments: object) -> None:
    assert command.main([str(argument) for argument in arguments]) == 0


def fill(folder: Path) -> Sheet:
    """Mark the sheet as a person who knows the photographs would."""
    photograph = truth()

    def mark(post: PostMarks) -> PostMarks:
        shows = SHOWS.get(photograph[post.post_id])
        right = tuple(label for label in post.labels if shows and label in shows)
        wrong = tuple(label for label in post.labels if label not in right) if shows else ()
        return PostMarks(
            post.post_id, post.city, post.stratum, post.prelabel, post.labels, right, wrong, no_place=shows is None
        )

    empty = Sheet.read(folder / "sheet.csv")
    filled = Sheet(empty.sample, empty.pooled, tuple(map(mark, empty.posts)))
    filled.write(folder / "filled.csv")
    return filled


def test_from_the_dataset_to_the_report(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores, drawn, sheet, curves, page = (tmp_path / name for name in ("scores", "c", "sheet", "curves", "report.html"))
    evaluate("score", dataset, "--encoder", "conse", "--templates", "talk", "-o", scores)
    evaluate("sample-c", scores, "--posts", POSTS, "-o", drawn)
    evaluate("sheet", drawn, "-o", sheet)
    filled = fill(sheet)
    evaluate("curves", scores, drawn, "--marks", sheet / "filled.csv", "--rounds", 100, "--step", 0.1, "-o", curves)
    evaluate("report", curves, "--sample", drawn, "-o", page)

    photograph = truth()
    sources = Counter(photograph[post.post_id] for post in filled.posts)
    with capsys.disabled():
        print(f"\n{len(filled.posts)} posts, of only {len(sources)} distinct photographs: crops are not independent")
    assert len(sources) < len(filled.posts) / 3
    assert len(Sample.open(drawn).posts) == POSTS
    scored = Scores.open(scores)
    part = scored.of(list(photograph.keys() & {post.post_id for post in filled.posts}))
    best = [scored.info.categories[place] for place in part.image.argmax(axis=1)]
    right = sum(label in SHOWS.get(photograph[post_id], ()) for post_id, label in zip(part.post_ids, best, strict=True))
    (top1,) = [
        row
        for row in csv.DictReader((tmp_path / "report" / "top1.csv").read_text("utf-8").splitlines())
        if row["ensemble"] == "OnlyImg" and row["group"] == "all"
    ]
    assert (float(top1["correct"]), float(top1["incorrect"])) == pytest.approx((right, POSTS - right))
    assert 0 < right < POSTS
    html = page.read_text("utf-8")
    assert f"on {POSTS} posts out of {POSTS}" in " ".join(html.split())
    assert "everything here is <strong>accuracy</strong>" in html
    assert len(re.findall(r"✓ holds|✗ does not|\? cannot tell", html)) == 3
    assert html.count("data:image/jpeg") > 10
    assert {path.suffix for path in (tmp_path / "report").iterdir()} == {".png", ".csv"}
    no_place = sum(post.no_place for post in filled.posts)
    assert f"{no_place} pictures of the sample were marked to show no place" in html
    assert 0 < no_place < POSTS


def test_every_command_of_the_way_is_there() -> None:
    for name, (target, _) in command.COMMANDS.items():
        module, function = target.split(":")
        assert callable(getattr(__import__(module, fromlist=[function]), function)), name
