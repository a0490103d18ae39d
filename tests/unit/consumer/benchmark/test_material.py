from pathlib import Path
from statistics import mean

import open_clip
import pytest

from consumer.benchmark.material import SIDE, make
from consumer.classify.pictures.decode import PictureLimits, decode
from producer.base.errors import CommandError
from tests.wire import picture


def test_the_same_posts_come_every_time_and_no_picture_twice() -> None:
    posts = make(20)

    assert posts == make(20)
    assert len({post.picture for post in posts}) == 20
    assert decode(posts[0].picture, PictureLimits()) is not None
    assert SIDE == 300


def test_captions_are_of_mixed_length_and_about_30_tokens() -> None:
    captions = [post.caption or "" for post in make(300)]
    lengths = [len(caption.split()) for caption in captions]
    tokens = [len(ids[ids != 0]) for ids in open_clip.get_tokenizer("ViT-B-32")(captions)]  # 77 at most

    assert 28 < mean(tokens) < 32
    assert min(lengths) < 6
    assert max(lengths) > 50


def test_own_photographs_are_taken_in_turn(tmp_path: Path) -> None:
    for name, colour in (("a.jpg", "red"), ("b.JPEG", "blue")):
        (tmp_path / name).write_bytes(picture(colour, kind="JPEG"))

    posts = make(3, tmp_path)

    assert posts[0].picture == posts[2].picture != posts[1].picture


def test_a_folder_without_a_jpeg_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no JPEG in it"):
        make(3, tmp_path)
