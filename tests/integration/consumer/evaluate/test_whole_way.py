"""From the sample dataset to the report, each step by its command, with the real stand-in model and a known truth."""

import csv
import re
import shlex
import shutil
from collections import Counter
from pathlib import Path

import pytest
import torch

from consumer.evaluate import commands as command
from consumer.evaluate.marks.marks import PostMarks, Sheet
from consumer.evaluate.samples.folder import Sample
from consumer.evaluate.scores.folder import Scores
from consumer.evaluate.scores.places205_vgg import OUTPUTS, build_vgg16
from producer.dataset.entry import Entry
from producer.dataset.open import open_dataset
from producer.photographs import PHOTOGRAPHS
from producer.sample import Source, _drafts, write_sample
from tests.conftest import ROOT

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
        if row["ensemble"] == "OnlyImg" and row["group"] == "all" and not row["stratum"]
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


def tutorial_commands() -> list[list[str]]:
    """The arguments of the tutorial's ten commands, in their order."""
    page = (ROOT / "consumer/evaluate/README.md").read_text("utf-8").partition("\n## The talk's experiments\n")[2]
    lines = [shlex.split(line, comments=True) for line in page.split("```\n")[1].splitlines()]
    assert all(line[:4] == ["python", "-m", "consumer", "evaluate"] for line in lines)
    return [line[4:] for line in lines]


def write_checkpoint(path: Path, place: int) -> None:
    """A VGG16 of random weights that names one place whatever it sees.

    All outputs of each layer are alike, so that a single one of them is on the disk: 200 kB instead of 540 MB.
    """
    chance = torch.Generator().manual_seed(205)
    weights = {}
    for name, weight in build_vgg16().state_dict().items():
        one = torch.randn(1, *weight.shape[1:], generator=chance) / weight[0].numel() ** 0.5
        weights[name] = one.expand(weight.shape)
    weights["classifier.6.bias"] = torch.zeros(OUTPUTS)
    weights["classifier.6.bias"][place] = 9.0
    torch.save(weights, path)


def test_the_tutorial_s_ten_commands_run_one_after_the_other(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they stand there, but of a few posts, with the stand-in model, and a person's work between two of them."""
    monkeypatch.chdir(tmp_path)
    further = {"score": ["--encoder", "conse", "--templates", "talk"], "prelabel": ["--device", "cpu"]}
    commands = tutorial_commands()
    assert len(commands) == 10
    for name, *flags in commands:
        if name == "prelabel":
            picture_alone = [
                label for part in Scores.open(Path("scores")).parts() for label in part.image.argmax(axis=1)
            ]
            write_checkpoint(Path("vgg16_places205.pt"), Counter(picture_alone).most_common(1)[0][0])
        if name == "curves" and not Path("marks-a.csv").exists():  # between 6 and 7 a person works
            for sample in "ab":
                fill(Path(f"sheet-{sample}")).write(Path(f"marks-{sample}.csv"))
        few = ["--posts", "16"] if name in further else []
        evaluate(
            name, *(str(dataset) if flag == "/data/posts" else flag for flag in flags), *few, *further.get(name, [])
        )
    assert len(Sample.open(Path("a")).posts) == 16
    assert {post.labels == (post.prelabel,) for post in Sheet.read(Path("sheet-a/sheet.csv")).posts} == {True}
    for sample in "ab":
        html = Path(f"report-{sample}.html").read_text("utf-8")
        assert "everything here is <strong>accuracy</strong>" in html
        assert f"experiment {sample.upper()}, seed 0, {len(Sample.open(Path(sample)).posts)} posts" in html
    evaluate("curves", "scores", "a", "-o", "agreement", "--rounds", 100, "--step", 0.2)  # as said beside the seventh
    assert '"measure": "agreement"' in Path("agreement/curves.json").read_text("utf-8")
