"""Everything streams: whoever goes through all scores holds a part of them at a time, and what is kept of each post."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from consumer.evaluate.curves.dilution import dilution
from consumer.evaluate.curves.savings import savings
from consumer.evaluate.samples import counts, sample_a, sample_b, sample_c
from consumer.evaluate.scores.decide import ENSEMBLES
from consumer.evaluate.scores.folder import Scores
from tests.unit.consumer.evaluate.made_up import made_up, write_folder

PLACES, PART_POSTS, FEW, MANY = 100, 64, 4, 40
OF_A_POST = 2 * 4 * PLACES
"""Bytes of its cosines: what a command that kept all scores would hold of each further post, at least."""


def written(folder: Path, parts: int) -> Path:
    """A score folder of so many parts, and pre-labels of its posts; every post has a caption."""
    chance = np.random.default_rng(1)
    categories = [f"place_{number}" for number in range(PLACES)]
    ids = [f"post{number:06d}" for number in range(parts * PART_POSTS)]
    made = (
        made_up(image, text, ids[at : at + PART_POSTS])
        for at in range(0, len(ids), PART_POSTS)
        for image, text in [chance.normal(size=(2, PART_POSTS, PLACES))]
    )
    write_folder(
        folder, made, categories, len(ids), groups=[{"level": "synonyms", "name": "", "members": categories[:2]}]
    )
    rows = (f"{post_id},{categories[number % 10]}\n" for number, post_id in enumerate(ids))
    (folder / "prelabels.csv").write_text("post_id,place\n" + "".join(rows))
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One of few parts and one of many."""
    here = tmp_path_factory.mktemp("streaming")
    return written(here / "few", FEW), written(here / "many", MANY)


def draw_a(scores: Path, output: Path) -> None:
    labels = str(scores / "prelabels.csv")
    sample_a.main([str(scores), "--labels", labels, "-o", str(output), "--classes", "3", "--per-class", "2"])


def draw_b(scores: Path, output: Path) -> None:
    sample_b.main([str(scores), "-o", str(output), "--classes", "3", "--per-class", "2"])


def draw_c(scores: Path, output: Path) -> None:
    sample_c.main([str(scores), "-o", str(output), "--posts", "5"])


def dilute(scores: Path, output: Path) -> None:
    opened = Scores.open(scores)
    assert len(dilution(opened.parts(), opened.info, ENSEMBLES, 0.5))


def save(scores: Path, output: Path) -> None:
    opened = Scores.open(scores)
    assert savings(opened.parts(), opened.info)


@pytest.mark.parametrize(
    ("go_through", "kept"),
    [(draw_a, 300), (draw_b, 30), (draw_c, 30), (dilute, 30), (save, 30)],  # pre-labels are read whole
)
def test_memory_does_not_grow_with_the_scores(
    folders: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    go_through: Callable[[Path, Path], None],
    kept: int,
) -> None:
    monkeypatch.setattr(counts, "chart", lambda *_: b"")  # its memory would hide that of the scores
    few, many = folders
    go_through(few, tmp_path / "warm")  # modules are loaded once
    peaks = []
    for number, scores in enumerate((few, many)):
        tracemalloc.start()
        try:
            go_through(scores, tmp_path / str(number))
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    of_a_post = (peaks[1] - peaks[0]) / (PART_POSTS * (MANY - FEW))
    assert of_a_post < kept < OF_A_POST / 2, f"{of_a_post:.0f} bytes of each further post"
