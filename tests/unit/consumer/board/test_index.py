"""Which posts are nearest, which of them are kept, and whose vectors are left out."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from consumer.board.index import Counted, Index, Kept, Near
from consumer.classify.label import Vectors
from consumer.record import SourceRecord

ENCODER = "open_clip/tiny/random"


def unit(*numbers: float) -> NDArray[np.float32]:
    vector = np.array(numbers, np.float32)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


RIGHT, UP, BETWEEN, LEFT = unit(1, 0), unit(0, 1), unit(2, 1), unit(-1, 0)


def vectors(image: Any, text: Any, descriptor: Any = None) -> Vectors:
    return Vectors(image, text, descriptor)


def kept(post_id: str, city: str = "london", offset: int = 0) -> Kept:
    return Kept(post_id, city, SourceRecord(topic="posts", partition=0, offset=offset))


def index(posts: int = 10, **images: Any) -> Index:
    """Of pictures alone."""
    made = Index(ENCODER, 2, posts)
    for post_id, image in images.items():
        made.add(kept(post_id), f"{ENCODER}+icc", vectors(image.astype(np.float16), None))
    return made


def names(found: list[Near]) -> list[str]:
    return [near.post.post_id for near in found]


def test_the_nearest_come_first_with_their_cosines() -> None:
    found = index(up=UP, left=LEFT, right=RIGHT, between=BETWEEN).near(RIGHT, "image", 3)
    assert names(found) == ["right", "between", "up"]
    assert [near.cosine for near in found] == pytest.approx([1, 2 / 5**0.5, 0], abs=1e-3)


def test_captions_are_searched_apart_and_posts_without_one_left_out() -> None:
    made = index(silent=RIGHT)
    made.add(kept("said"), ENCODER, vectors(LEFT, UP))
    assert names(made.near(RIGHT, "text", 10)) == ["said"]
    assert names(made.near(RIGHT, "image", 10)) == ["silent", "said"]
    assert made.counted() == Counted(posts=2, captions=1, others=0, other="", trouble=None)


def test_the_newest_vectors_take_the_place_of_the_oldest() -> None:
    made = Index(ENCODER, 2, 3)
    for number in range(8):
        text = UP if number == 4 else None
        made.add(kept(str(number)), ENCODER, vectors(RIGHT, text))
    assert sorted(names(made.near(RIGHT, "image", 10))) == ["5", "6", "7"]
    assert made.near(RIGHT, "text", 10) == []
    assert [made.has("london", str(number)) for number in (4, 5)] == [False, True]


def test_of_a_post_that_comes_again_the_newest_vectors_are_found_once() -> None:
    made = index(again=RIGHT, other=UP)
    made.add(kept("again", offset=7), ENCODER, vectors(LEFT, None))
    made.add(kept("again", "sydney"), ENCODER, vectors(LEFT, None))
    found = made.near(LEFT, "image", 10)
    assert [(near.post.city, near.post.post_id, near.post.source.offset) for near in found] == [
        ("london", "again", 7),
        ("sydney", "again", 0),
        ("london", "other", 0),
    ]


@pytest.mark.parametrize(
    ("encoder", "given"),
    [
        ("conse/x", vectors(RIGHT, None)),
        (f"{ENCODER}ly", vectors(RIGHT, None)),
        (ENCODER, vectors(unit(1, 0, 0), None)),
        (ENCODER, vectors(RIGHT, unit(1, 0, 0))),
        (ENCODER, vectors(RIGHT, None, unit(1, 0))),
    ],
    ids=["other encoder", "similar name", "longer", "longer caption", "shorter descriptor"],
)
def test_vectors_of_another_encoder_are_counted_and_left_out(encoder: str, given: Vectors) -> None:
    made = Index(ENCODER, 2, 10)
    made.add(kept("own"), ENCODER, vectors(UP, None, unit(1, 2, 3)))
    made.add(kept("other"), encoder, given)
    assert names(made.near(RIGHT, "image", 10)) == ["own"]
    assert made.counted() == Counted(posts=1, captions=0, others=1, other=encoder, trouble=None)


def test_pictures_like_another_are_found_without_it() -> None:
    made = index(asked=RIGHT, near=BETWEEN, far=UP)
    found = made.like("london", "asked", 1)
    assert found is not None
    assert found[0] == kept("asked")
    assert names(found[1]) == ["near"]
    assert made.like("sydney", "asked", 1) is None


def test_what_tells_pictures_apart_best_says_which_are_alike() -> None:
    made = Index(ENCODER, 2, 10)
    for post_id, image, descriptor in (
        ("asked", RIGHT, unit(1, 0, 0)),
        ("by class", RIGHT, unit(0, 0, 1)),
        ("by sight", UP, unit(3, 1, 0)),
    ):
        made.add(kept(post_id), ENCODER, vectors(image, None, descriptor))
    found = made.like("london", "asked", 10)
    assert found is not None
    assert names(found[1]) == ["by sight", "by class"]
    made.add(kept("undescribed"), ENCODER, vectors(RIGHT, None))
    found = made.like("london", "undescribed", 10)
    assert found is not None
    assert names(found[1])[-1] == "by sight"


def test_the_descriptor_of_another_encoder_that_came_first_does_not_leave_out_our_own() -> None:
    made = index()
    made.add(kept("other"), "conse/x", vectors(RIGHT, None, unit(1, 2, 3)))
    made.add(kept("own"), ENCODER, vectors(RIGHT, None, unit(1, 2)))
    assert (made.counted().posts, made.counted().others) == (1, 1)
