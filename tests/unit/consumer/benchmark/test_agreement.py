from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from consumer.benchmark.agreement import of
from consumer.benchmark.material import make
from consumer.classify.classifier import Classifier
from consumer.classify.ensemble import Decision
from tests.light import PLACES, LightEncoder


class TurnsTheFirst(LightEncoder):
    """Its vector of the first picture of a batch points the other way."""

    def encode_images(self, prepared: Sequence[torch.Tensor]) -> NDArray[np.float32]:
        vectors = super().encode_images(prepared)
        vectors[0] *= -1
        return vectors


def test_the_worst_cosines_and_the_share_of_equal_labels() -> None:
    decision = Decision(ensemble="only-image", threshold=0.0)
    light, turned = (Classifier(encoder, PLACES, decision) for encoder in (LightEncoder(), TurnsTheFirst()))
    posts = make(8)
    same, differing = of(light, light, posts, 8), of(light, turned, posts, 4)
    assert (same.image_cosine, same.text_cosine, same.equal_labels) == pytest.approx((1, 1, 1))
    assert (differing.image_cosine, differing.text_cosine, differing.equal_labels) == pytest.approx((-1, 1, 0.75))
