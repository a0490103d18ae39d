"""What int8 is fitted to."""

from pathlib import Path

import pytest

from consumer.classify.compute.calibration import LEAST, PICTURES, load
from consumer.classify.pictures.decode import PictureLimits
from producer.base.errors import CommandError
from tests.unit.consumer.classify.photos import encoded, photo


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A folder of one city: 40 small pictures with captions, a broken one, and one without a caption."""
    folder = tmp_path / "rome"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number:02}.jpg").write_bytes(encoded(photo(12, 10, number)))
        (folder / f"{number:02}.txt").write_text(f"the bridge, {number}")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    (folder / "mute.jpg").write_bytes(encoded(photo(10, 12, 77)))
    return folder


def test_the_pictures_that_can_be_used_are_taken(dataset: Path) -> None:
    found = load(dataset, PictureLimits())

    assert sorted(tuple(levels.shape) for levels in found.levels()) == [(3, 10, 12)] * 40 + [(3, 12, 10)]


def test_it_ends_when_it_has_enough(dataset: Path) -> None:
    picture = encoded(photo(8, 8, 1))
    for number in range(PICTURES):
        (dataset / f"more-{number}.jpg").write_bytes(picture)

    assert len(load(dataset, PictureLimits()).pictures) == PICTURES


def test_the_stamp_says_whether_it_is_the_same(dataset: Path) -> None:
    before = load(dataset, PictureLimits()).stamp
    (dataset / "00.txt").write_text("captions do not count")
    assert load(dataset, PictureLimits()).stamp == before
    (dataset / "00.jpg").write_bytes((dataset / "01.jpg").read_bytes())

    assert load(dataset, PictureLimits()).stamp != before


def test_too_few_are_one_line(dataset: Path) -> None:
    for number in range(20):
        (dataset / f"{number:02}.jpg").unlink()

    with pytest.raises(CommandError, match=f"21 usable pictures; it takes {LEAST} at least, better 300") as caught:
        load(dataset, PictureLimits())
    assert "\n" not in str(caught.value)
