from pathlib import Path

import pytest
from PIL import Image

from consumer.evaluate.marks.gallery import shown
from tests.unit.consumer.classify.photos import encoded


@pytest.mark.slow
def test_what_was_scored_with_raised_limits_is_shown(tmp_path: Path) -> None:
    folder = tmp_path / "img" / "london"
    folder.mkdir(parents=True)
    (folder / "1.jpg").write_bytes(encoded(Image.new("1", (8_000, 7_000))))
    (post,) = shown(tmp_path, ["1"], side=80)
    assert (post.width, post.height) == (80, 70)
