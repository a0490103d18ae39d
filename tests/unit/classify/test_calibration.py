"""What int8 is fitted to."""

from pathlib import Path

import pytest

from consumer.classify.calibration import LEAST, POSTS, load
from consumer.classify.pictures import PictureLimits
from producer.errors import CommandError
from tests.unit.classify.pictures import encoded, photo


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A folder of one city: 40 small pictures with captions, one broken, one without a caption."""
    folder = tmp_path / "rome"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number:02}.jpg").write_bytes(encoded(photo(12, 10, number)))
        (folder / f"{number:02}.txt").write_text(f"the bridge, {number}")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    (folder / "mute.jpg").write_bytes(encoded(photo(10, 12, 77)))
    return folder


def test_the_posts_that_can_be_used_are_taken(dataset: Path) -> None:
    found = load(dataset, PictureLimits())

    assert sorted(tuple(levels.shape) for levels in found.levels) == [(3, 10, 12)] * 40 + [(3, 12, 10)]
    assert sorted(found.captions) == sorted(f"the bridge, {number}" for number in range(40))


def test_it_ends_when_it_has_enough(dataset: Path) -> None:
    picture = encoded(photo(8, 8, 1))
    for number in range(POSTS):
        (dataset / f"more-{number}.jpg").write_bytes(picture)

    assert len(load(dataset, PictureLimits()).levels) == POSTS


@pytest.mark.parametrize("changed", ["00.jpg", "00.txt"])
def test_the_stamp_says_whether_it_is_the_same(dataset: Path, changed: str) -> None:
    before = load(dataset, PictureLimits()).stamp
    assert load(dataset, PictureLimits()).stamp == before
    (dataset / changed).write_bytes((dataset / changed.replace("00", "01")).read_bytes())

    assert load(dataset, PictureLimits()).stamp != before


def test_too_few_are_one_line(dataset: Path) -> None:
    for number in range(20):
        (dataset / f"{number:02}.txt").unlink()

    with pytest.raises(CommandError, match=f"41 usable pictures and 20 captions; it takes {LEAST} of each") as caught:
        load(dataset, PictureLimits())
    assert "\n" not in str(caught.value)
