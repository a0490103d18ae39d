"""Vectors and products as another machine, or another batch, would round them.

How a matrix product rounds depends on the CPU, on its libraries and on the number of rows; where a test's machine shows
no difference, this makes one. On with ``TESTS_ROUNDING``, in the tests' own process and in `tests.light`.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from consumer.classify.classifier import Classifier
from consumer.classify.encoders.conse import Conse
from consumer.classify.encoders.encoder import Images
from consumer.classify.encoders.open_clip import OpenClip
from consumer.classify.head import Head


def round_otherwise(patch: pytest.MonkeyPatch) -> None:
    """Change the last bits of all vectors and products from here on, by the size of their batch."""
    for encoder in (Conse, OpenClip):
        patch.setattr(encoder, "encode_images", _changed(encoder.encode_images, _of_images))
        patch.setattr(encoder, "encode_texts", _changed(encoder.encode_texts, _of_vectors))
    patch.setattr(Classifier, "_images", _changed(Classifier._images, _of_images))
    patch.setattr(Classifier, "_texts", _changed(Classifier._texts, _of_vectors))
    patch.setattr(Head, "cosines", _changed(Head.cosines, _of_products))


def _changed(method: Callable[..., Any], change: Callable[[Any], Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def changed(*arguments: Any) -> Any:
        return change(method(*arguments))

    return changed


def _of_images(images: Images) -> Images:
    return images._replace(vectors=_of_vectors(images.vectors))


def _of_vectors(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """One step up, down or none; equal numbers of a batch stay equal, as they do in one operation on all of them."""
    vectors = np.ascontiguousarray(vectors)
    steps = (vectors.view(np.int32).astype(np.int64) * 31 + len(vectors)) % 3
    return np.choose(steps, (vectors, np.nextafter(vectors, np.float32(2)), np.nextafter(vectors, np.float32(-2))))


def _of_products(products: NDArray[np.float64]) -> NDArray[np.float64]:
    """A few steps up or down, each number by its own, as when other numbers are added up first."""
    steps = np.random.default_rng(len(products)).integers(-4, 5, products.shape)
    return np.asarray(products + steps * np.spacing(products))
