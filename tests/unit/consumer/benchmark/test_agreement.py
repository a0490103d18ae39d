"""How near one classifier's vectors and labels are to another's."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from consumer.benchmark import agreement
from consumer.classify.label import Label, Ranking
from producer.post import Post

POSTS = [Post(str(number), "rome", b"") for number in range(4)]


class Saying:
    """A classifier whose ranking of each post is given, and whose vectors are at an angle."""

    def __init__(self, angle: float, rankings: Sequence[dict[str, float]]) -> None:
        self._vector = np.array([[np.cos(angle), np.sin(angle)]], np.float32)
        self._rankings = rankings

    def decode_all(self, posts: Sequence[Post]) -> Any:
        return [SimpleNamespace(post=post) for post in posts]

    def vectors(self, batch: Sequence[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        ones = np.tile(np.array([[1.0, 0.0]], np.float32), (len(batch), 1))
        return np.repeat(self._vector, len(batch), axis=0), ones

    def label(self, batch: Sequence[Any]) -> list[Label]:
        labels = []
        for decoded in batch:
            top = tuple(self._rankings[int(decoded.post.post_id)].items())
            ranking = Ranking(top[0][0], top[0][1], top)
            labels.append(Label(top[0][0], top[0][1], top, "image", ranking, None))
        return labels


def test_cosines_equal_labels_and_the_lead_of_those_that_differ() -> None:
    bridge_first = {"bridge": 0.5, "river": 0.4, "tower": 0.1}
    river_first = {"river": 0.5, "bridge": 0.3, "tower": 0.2}
    exact = Saying(0.0, [bridge_first, bridge_first, river_first, bridge_first])
    rounded = Saying(np.arccos(0.999), [bridge_first, river_first, river_first, bridge_first])

    found = agreement.of(rounded, exact, POSTS, batch_size=3)  # type: ignore[arg-type]

    assert found.image_cosine == pytest.approx(0.999)
    assert found.text_cosine == pytest.approx(1)
    assert found.equal_labels == 0.75
    assert found.lead == pytest.approx(0.5 / 0.4)


def test_without_a_difference_there_is_no_lead() -> None:
    same = [{"bridge": 0.6, "river": 0.4}] * 4

    found = agreement.of(Saying(0.0, same), Saying(0.0, same), POSTS, batch_size=4)  # type: ignore[arg-type]

    assert (found.equal_labels, found.lead) == (1.0, 1.0)
