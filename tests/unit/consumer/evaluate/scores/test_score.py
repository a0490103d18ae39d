import csv
import hashlib
import json
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from pyarrow import parquet

from consumer.classify.encoders.encoder import Images
from consumer.evaluate.scores.decide import ENSEMBLES, decide
from consumer.evaluate.scores.folder import Scores, read_failed
from consumer.evaluate.scores.parts import STAMPED, ScorePart
from consumer.evaluate.scores.score import ScoreSettings
from producer.base.errors import CommandError
from producer.base.settings import load
from producer.dataset.entry import Entry
from producer.dataset.open import open_dataset
from tests.conftest import ROOT, clean_environment, wait_until
from tests.light import COLOURS, LightEncoder
from tests.unit.consumer.evaluate.colours import PART_POSTS, colour_classifier, score, write_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("colours"), broken=(4, 11))


@pytest.fixture(scope="module")
def scored(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Scores:
    folder = tmp_path_factory.mktemp("scores")
    assert score(dataset, "-o", folder, "--batch-size", 5) == 0
    return Scores.open(folder)


def whole(folder: Path) -> ScorePart:
    scores = Scores.open(folder)
    return scores.of([post_id for part in scores.parts() for post_id in part.post_ids])


def has_parts(folder: Path, parts: int) -> bool:
    return len(list(folder.glob("part-*"))) >= parts


def assert_the_same(one: ScorePart, other: ScorePart) -> None:
    assert one.post_ids == other.post_ids
    assert one.cities == other.cities
    assert one.created_at == other.created_at
    assert one.has_caption.tolist() == other.has_caption.tolist()
    np.testing.assert_allclose(one.image, other.image, atol=1e-3)  # another batch may be rounded otherwise
    np.testing.assert_allclose(one.text, other.text, atol=1e-3)


def test_every_usable_post_has_its_scores_once_in_the_dataset_s_order(scored: Scores, dataset: Path) -> None:
    part = whole(scored.folder)

    expected = [str(entry.post_id) for entry in open_dataset(dataset).entries()]
    assert part.post_ids == [post_id for post_id in expected if post_id not in ("p04", "p11")]
    assert part.cities == ["london"] * 14 + ["paris"] * 14
    assert [row["post_id"] for row in read_failed(scored.folder)] == ["p04", "p11"]
    assert {row["reason"] for row in read_failed(scored.folder)} == {"truncated_image"}


def test_the_folder_says_what_its_scores_are_of(scored: Scores, dataset: Path) -> None:
    ids = sorted(f"p{number:02d}" for number in range(30))

    assert scored.info.encoder == "light"
    assert scored.info.places.startswith("colours@")
    assert scored.info.categories == COLOURS
    assert (scored.info.image_logit_scale, scored.info.threshold) == (8.0, 0.4)
    assert scored.info.dataset == dataset.resolve()
    assert scored.info.posts == 30
    assert scored.info.ids_sha256 == hashlib.sha256("\n".join(ids).encode()).hexdigest()


def test_what_follows_from_the_scores_is_what_label_says(scored: Scores, dataset: Path) -> None:
    """The same through the whole pipeline, with a real model, is tests/integration/consumer/evaluate/test_join.py."""
    classifier = colour_classifier(load(ScoreSettings, "test", [str(dataset), "-o", "x"]))
    posts = [entry.read(10**6) for entry in open_dataset(dataset).entries() if isinstance(entry, Entry)]
    posts = [post for post in posts if post.post_id not in ("p04", "p11")]
    labels = classifier.classify(posts)
    part = scored.of([post.post_id for post in posts])

    decided = decide(ENSEMBLES[4], part, scored.info)

    assert [COLOURS[label] for label in decided.label] == [label.top[0][0] for label in labels]
    assert decided.confidence == pytest.approx([label.confidence for label in labels], abs=1e-3)  # of half precision
    assert decided.by_image.tolist() == [label.decided_by == "image" for label in labels]
    assert part.has_caption.tolist() == part.has_text.tolist() == [post.caption is not None for post in posts]


@pytest.mark.slow
def test_a_killed_run_goes_on_without_a_doubled_or_missing_post(dataset: Path, scored: Scores, tmp_path: Path) -> None:
    folder = tmp_path / "scores"
    flags = [str(dataset), "-o", str(folder), "--batch-size", "2"]
    for parts in (2, 4):  # killed twice
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.consumer.evaluate.colours", *flags], cwd=ROOT, env=clean_environment()
        )
        try:
            wait_until(partial(has_parts, folder, parts), what=f"{parts} parts")
        finally:
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        with pytest.raises(CommandError, match="is not complete: run evaluate score again"):
            Scores.open(folder)
    with (folder / "failed.csv").open("a") as file:  # as a kill amidst a write would leave it
        file.write("p20,trunca")
    encoder = LightEncoder()

    assert score(*flags, encoder=encoder) == 0

    assert len(list(folder.glob("part-*"))) > 4
    assert Counter(row["post_id"] for row in read_failed(folder)) == {"p04": 1, "p11": 1}
    assert_the_same(whole(folder), whole(scored.folder))
    assert 0 < len(encoder.captions) < 20  # the rest only


def test_a_complete_folder_is_left_as_it_is(scored: Scores, dataset: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in scored.folder.glob("part-*")}
    encoder = LightEncoder()

    assert score(dataset, "-o", scored.folder, encoder=encoder) == 0

    assert {path.name: path.stat().st_mtime_ns for path in scored.folder.glob("part-*")} == before
    assert encoder.captions == []


class OtherEncoder(LightEncoder):
    name = "other"


class OtherPrompts(LightEncoder):
    default_templates = ("something {wording}",)


def test_it_does_not_go_on_with_anything_else(scored: Scores, dataset: Path, tmp_path: Path) -> None:
    folder = scored.folder
    elsewhere = write_dataset(tmp_path / "elsewhere")
    for flags, encoder, what in (
        ([dataset], OtherEncoder(), r"another encoder \(light; now other\)"),
        ([dataset], OtherPrompts(), r"another places \(colours@\w+; now colours@\w+\)"),
        ([dataset, "--posts", 7], None, "another choice of posts"),
        ([dataset, "--cities", "paris"], None, "another choice of posts"),
        ([dataset, "--max-image-bytes", 70], None, "another choice of posts"),
        ([elsewhere], None, "another dataset"),
    ):
        with pytest.raises(CommandError, match=what):
            score(*flags, "-o", folder, encoder=encoder)


def test_a_choice_is_the_smallest_hashes_whatever_the_order(dataset: Path, tmp_path: Path) -> None:
    ids = [f"p{number:02d}" for number in range(30)]
    smallest = sorted(ids, key=lambda post_id: hashlib.sha256(f"3|{post_id}".encode()).hexdigest())[:9]

    score(dataset, "-o", tmp_path / "some", "--posts", 9, "--seed", 3)
    score(dataset, "-o", tmp_path / "paris", "--posts", 100, "--cities", "paris")

    some = whole(tmp_path / "some").post_ids
    failed = [row["post_id"] for row in read_failed(tmp_path / "some")]
    assert sorted(some + failed) == sorted(smallest)
    assert Scores.open(tmp_path / "some").info.posts == 9
    assert set(whole(tmp_path / "paris").cities) == {"paris"}


def test_of_a_repeated_id_the_first_counts(dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    manifest = tmp_path / "posts.csv"
    for colour, level in (("red", (200, 0, 0)), ("green", (0, 200, 0))):
        Image.new("RGB", (8, 8), level).save(tmp_path / f"{colour}.png")
    manifest.write_text("post_id,city,image_path\n1,rome,red.png\n1,oslo,green.png\n2,oslo,/etc/x\n,oslo,red.png\n")

    score(manifest, "-o", tmp_path / "scores")

    part = whole(tmp_path / "scores")
    assert (part.post_ids, part.cities) == (["1"], ["rome"])
    assert COLOURS[int(part.image[0].argmax())] == "red"
    assert [row["post_id"] for row in read_failed(tmp_path / "scores")] == ["2"]
    assert "1 entries have the id of an earlier one" in caplog.text
    assert "1 entries have no usable id" in caplog.text


class Fragile(LightEncoder):
    """Cannot take green pictures; nor, when exhausted, any."""

    exhausted = False

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def encode_images(self, prepared: Sequence[torch.Tensor]) -> Images:
        if self.exhausted or any(picture.float().mean((1, 2)).argmax() == 1 for picture in prepared):
            raise self.error
        return super().encode_images(prepared)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        ValueError("a strange picture"),
    ],
)
def test_a_post_that_the_model_cannot_take_fails_alone(dataset: Path, tmp_path: Path, error: Exception) -> None:
    assert score(dataset, "-o", tmp_path / "scores", encoder=Fragile(error)) == 0

    reasons = Counter(row["reason"] for row in read_failed(tmp_path / "scores"))
    assert reasons == {"encode_failed": 9, "truncated_image": 2}
    assert len(whole(tmp_path / "scores")) == 19


def test_a_model_that_takes_nothing_ends_the_run(dataset: Path, tmp_path: Path) -> None:
    encoder = Fragile(RuntimeError("out of memory"))
    encoder.exhausted = True

    with pytest.raises(CommandError, match="the encoder light fails on every post"):
        score(dataset, "-o", tmp_path / "scores", encoder=encoder)


def test_every_part_says_what_it_is_of_and_a_stranger_is_not_gone_on_with(scored: Scores, tmp_path: Path) -> None:
    folder = tmp_path / "scores"
    shutil.copytree(scored.folder, folder)
    first, second = folder / "part-00000.parquet", folder / "part-00001.parquet"
    for path in (first, second):
        found = parquet.read_schema(path).metadata
        assert {name: found[f"placestream.{name}".encode()].decode() for name in STAMPED} == scored.info.stamp
    table = parquet.read_table(second)
    parquet.write_table(table.replace_schema_metadata({"placestream.encoder": "clip"}), second)
    with pytest.raises(CommandError, match=r"part-00001.parquet is of another model \(clip\) than its folder"):
        score(scored.info.dataset, "-o", folder)


def test_no_two_processes_write_one_folder(dataset: Path, tmp_path: Path) -> None:
    class Nosy(LightEncoder):
        def encode_images(self, prepared: Sequence[torch.Tensor]) -> Images:
            with pytest.raises(CommandError, match="another evaluate score writes to"):
                score(dataset, "-o", tmp_path / "scores")
            return super().encode_images(prepared)

    assert score(dataset, "-o", tmp_path / "scores", encoder=Nosy()) == 0


def test_wrong_input_is_one_clear_line(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("precious")
    for flags, what in (
        ([tmp_path / "nowhere", "-o", tmp_path / "x"], "no such file or folder"),
        ([dataset, "-o", tmp_path / "mine"], "holds thesis.txt and no scores"),
        ([dataset, "-o", dataset / "img/london/p00.png"], "cannot be written"),
        ([dataset, "-o", tmp_path / "x", "--cities", "rome"], "--cities rome: not in .*london, paris"),
        ([dataset, "-o", tmp_path / "x", "--posts", 0], "setting POSTS: "),
        ([dataset], "setting OUTPUT: Field required"),
    ):
        with pytest.raises(CommandError, match=what):
            score(*flags)


def test_a_changing_dataset_is_noticed(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "dataset", posts=8)

    class Thief(LightEncoder):
        def encode_prompts(self, prompts: Sequence[str]) -> NDArray[np.float32]:
            for path in (dataset / "img/paris").glob("*.png"):  # after the names were read
                path.unlink()
            return super().encode_prompts(prompts)

    with pytest.raises(CommandError, match=r"4 posts have gone from the dataset meanwhile \(p01\)"):
        score(dataset, "-o", tmp_path / "scores", encoder=Thief())


def test_what_failed_is_a_table_that_others_read(scored: Scores) -> None:
    with (scored.folder / "failed.csv").open(newline="") as file:
        assert next(csv.reader(file)) == ["post_id", "reason", "message"]
    assert json.loads((scored.folder / "scores.json").read_text())["complete"] is True
    assert PART_POSTS * len(list(scored.folder.glob("part-*"))) == 28
