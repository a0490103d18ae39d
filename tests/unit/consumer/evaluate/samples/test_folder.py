import csv
import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from consumer.evaluate.samples import sample_a, sample_b, sample_c
from consumer.evaluate.samples.folder import Sample, SampledPost, Stratum
from consumer.evaluate.scores.parts import part_name
from producer.base.errors import CommandError, UsageError
from tests.unit.consumer.evaluate.made_up import made_up, write_folder

CATEGORIES = ("abbey", "bridge", "coast", "desert")
POSTS = ("abbey",) * 50 + ("bridge",) * 30 + ("coast",) * 4
"""What the picture alone says of posts p00, p01 …"""


def write_scores(folder: Path, order: Sequence[int] = range(len(POSTS)), part_posts: int = 20) -> Path:
    """A score folder of these posts in this order."""
    image = np.eye(4)[[CATEGORIES.index(POSTS[post]) for post in order]] / 10
    ids = [f"p{post:02d}" for post in order]
    starts = range(0, len(order), part_posts)
    parts = (made_up(image[at : at + part_posts], ids=ids[at : at + part_posts]) for at in starts)
    write_folder(folder, parts, CATEGORIES, len(order) + 1, threshold=0.9)  # above all: samples know no threshold
    (folder / "failed.csv").write_text("post_id,reason,message\nbroken,not_an_image,x\n")
    return folder


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    return write_scores(tmp_path / "scores")


def smallest(posts: Sequence[int], n: int, seed: int = 0) -> list[str]:
    ids = [f"p{post:02d}" for post in posts]
    return sorted(ids, key=lambda post_id: hashlib.sha256(f"{seed}|{post_id}".encode()).hexdigest())[:n]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write_labels(folder: Path, labels: dict[str, str]) -> Path:
    path = folder / "prelabels.csv"
    path.write_text("post_id,place,probability\n" + "".join(f"{post},{place},0.5\n" for post, place in labels.items()))
    return path


def test_b_draws_from_the_most_frequent_classes_by_hash(scores: Path, tmp_path: Path) -> None:
    sample_b.main([str(scores), "-o", str(tmp_path / "b"), "--classes", "2", "--per-class", "7", "--seed", "5"])

    sample = Sample.open(tmp_path / "b")
    assert (sample.kind, sample.seed, sample.encoder, sample.places) == ("b", 5, "made up", "places@00000000")
    assert (sample.scores_path, sample.dataset) == (scores.resolve(), Path("/data"))
    assert sample.strata == (Stratum("abbey", 50, 7), Stratum("bridge", 30, 7))
    of_class = {place: {p.post_id for p in sample.posts if p.stratum == place} for place in ("abbey", "bridge")}
    assert of_class == {"abbey": set(smallest(range(50), 7, 5)), "bridge": set(smallest(range(50, 80), 7, 5))}
    assert {post.prelabel for post in sample.posts} == {None}
    assert [p.post_id for p in sample.posts] == smallest([int(p.post_id[1:]) for p in sample.posts], 14, 5)


def test_a_sample_depends_on_the_seed_and_on_no_order(scores: Path, tmp_path: Path) -> None:
    shuffled = write_scores(tmp_path / "shuffled", np.random.default_rng(1).permutation(len(POSTS)).tolist(), 7)
    for name, folder, seed in (("one", scores, 1), ("other", shuffled, 1), ("third", scores, 2)):
        sample_b.main([str(folder), "-o", str(tmp_path / name), "--per-class", "9", "--seed", str(seed)])

    one, other, third = (Sample.open(tmp_path / name) for name in ("one", "other", "third"))
    assert one.sha256 == other.sha256
    assert one.posts == other.posts
    assert one.sha256 != third.sha256


def test_classes_with_too_few_posts_are_said(scores: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample_b.main([str(scores), "-o", str(tmp_path / "b"), "--per-class", "40"])

    said, warned = capsys.readouterr()
    assert "1 of 3 classes have fewer than 10 posts to judge by" in warned
    assert "bridge: only 30 posts, 40 were asked for" in said
    assert "coast: only 4 posts, 40 were asked for" in said
    assert "abbey: only" not in said
    assert "only 3 classes have a post, 10 were asked for" in said
    assert Sample.open(tmp_path / "b").strata[2] == Stratum("coast", 4, 4)


def test_c_draws_from_all_posts(scores: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample_c.main([str(scores), "-o", str(tmp_path / "c"), "--posts", "11"])
    sample_c.main([str(scores), "-o", str(tmp_path / "all"), "--posts", "1000"])

    sample = Sample.open(tmp_path / "c")
    assert (sample.kind, sample.strata) == ("c", (Stratum(None, 84, 11),))
    assert [post.post_id for post in sample.posts] == smallest(range(84), 11)
    assert sample.posts[0] == SampledPost(sample.posts[0].post_id, "rome", None, None)
    assert len(Sample.open(tmp_path / "all").posts) == 84
    assert "only 84 posts are there, 1000 were asked for" in capsys.readouterr().out


LABELS = {f"p{post:02d}": "bridge" if post < 5 else "coast" if post < 60 else "abbey" for post in range(84)}
"""Somebody else's: bridge 5, coast 55, abbey 24; the picture alone: abbey 50, bridge 30, coast 4."""


def test_a_ranks_classes_by_the_smaller_count(scores: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = write_labels(tmp_path, LABELS | {"broken": "desert"})

    sample_a.main(
        [str(scores), "--labels", str(labels), "-o", str(tmp_path / "a"), "--classes", "2", "--per-class", "6"]
    )

    sample = Sample.open(tmp_path / "a")
    assert sample.strata == (Stratum("abbey", 24, 6), Stratum("bridge", 5, 5))
    drawn = {post.post_id: post.stratum for post in sample.posts}
    assert drawn == dict.fromkeys(smallest(range(60, 84), 6), "abbey") | dict.fromkeys(smallest(range(5), 5), "bridge")
    assert all(post.prelabel == post.stratum for post in sample.posts)
    assert str(sample.prelabelled_by).startswith("prelabels.csv@")
    assert rows(tmp_path / "a/counts.csv") == [
        {"place": "abbey", "by_picture": "50", "prelabelled": "24", "drawn": "6"},
        {"place": "bridge", "by_picture": "30", "prelabelled": "5", "drawn": "5"},
        {"place": "coast", "by_picture": "4", "prelabelled": "55", "drawn": "0"},
    ]
    said = capsys.readouterr().out
    assert "bridge: only 5 posts, 6 were asked for" in said
    assert "smaller" in said
    with Image.open(io.BytesIO((tmp_path / "a/counts.png").read_bytes())) as chart:
        assert chart.format == "PNG"
        assert len(chart.convert("RGB").getcolors(10**6) or ()) > 50


def test_posts_without_a_label_are_said(scores: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = write_labels(tmp_path, {post: place for post, place in LABELS.items() if place != "coast"})

    sample_a.main([str(scores), "--labels", str(labels), "-o", str(tmp_path / "a")])

    assert "55 posts have no pre-label and are in no class" in capsys.readouterr().out
    assert Sample.open(tmp_path / "a").strata == (Stratum("abbey", 24, 24), Stratum("bridge", 5, 5))


@pytest.mark.parametrize(
    ("table", "what"),
    [
        ("post_id,place\np00,castle\n", "line 2: 'castle' is no place of the scores' label set .abbey, bridge, coast"),
        ("post_id,place\np00,abbey\np00,abbey\n", "line 3: post p00 is there twice"),
        ("post,place\np00,abbey\n", "no column post_id; it must have post_id,place"),
        ("post_id,place\n", "has no labels in it"),
        ("post_id,place\np00\n", "line 2: None is no place"),
        ("post_id,place\np00,abbey\nx1,abbey\nx2,abbey\n", "2 of 3 labels are of posts that are not in .*x1, x2"),
        ("post_id,place\np00,desert\n", "have no class in common"),
    ],
)
def test_labels_that_do_not_fit_are_one_clear_line(table: str, what: str, scores: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(table)

    with pytest.raises(CommandError, match=what):
        sample_a.main([str(scores), "--labels", str(tmp_path / "labels.csv"), "-o", str(tmp_path / "a")])

    assert not (tmp_path / "a").exists()


def test_wrong_input_is_one_clear_line(scores: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="nowhere.csv cannot be read: No such file"):
        sample_a.main([str(scores), "--labels", str(tmp_path / "nowhere.csv"), "-o", str(tmp_path / "a")])
    with pytest.raises(CommandError, match="is no score folder"):
        sample_b.main([str(tmp_path / "nowhere"), "-o", str(tmp_path / "b")])
    with pytest.raises(UsageError, match="setting LABELS: Field required"):
        sample_a.main([str(scores), "-o", str(tmp_path / "a")])
    with pytest.raises(UsageError, match="setting POSTS"):
        sample_c.main([str(scores), "-o", str(tmp_path / "c"), "--posts", "0"])
    (scores / part_name(4)).unlink()
    with pytest.raises(CommandError, match="was cut short"):
        sample_c.main([str(scores), "-o", str(tmp_path / "c")])


def test_another_sample_is_not_written_over(scores: Path, tmp_path: Path) -> None:
    flags = [str(scores), "-o", str(tmp_path / "c"), "--posts", "11"]
    sample_c.main(flags)
    sample_c.main(flags)  # the very same

    with pytest.raises(CommandError, match="holds another sample, and marks may depend on it"):
        sample_c.main([*flags, "--seed", "1"])
    assert Sample.open(tmp_path / "c").seed == 0


def test_what_is_no_sample_is_one_clear_line(scores: Path, tmp_path: Path) -> None:
    folder = tmp_path / "c"
    with pytest.raises(CommandError, match=r"is no sample folder \(no sample.json\)"):
        Sample.open(folder)
    sample_c.main([str(scores), "-o", str(folder)])
    described = json.loads((folder / "sample.json").read_text())
    for changes, what in (
        ({"version": 2}, "is of version 2; this program reads 1"),
        ({"kind": "d"}, "cannot be read: .*kind Input should be 'a', 'b' or 'c'"),
        ({"strata": [{}]}, "cannot be read: .*strata.0.place Field required"),
    ):
        (folder / "sample.json").write_text(json.dumps(described | changes))
        with pytest.raises(CommandError, match=what):
            Sample.open(folder)
    (folder / "sample.json").write_text(json.dumps(described))
    with (folder / "posts.csv").open("a") as file:
        file.write("p00,rome,,\n")
    with pytest.raises(CommandError, match="posts.csv is not what was drawn"):
        Sample.open(folder)
