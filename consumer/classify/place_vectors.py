"""The places' vectors of an encoder, kept on disk: they are arithmetic's half of a label, and need no model again."""

import hashlib
import json
import logging
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from consumer.classify.compute.versions import versions
from consumer.classify.encoders.encoder import Encoder
from consumer.classify.places import Places
from producer.base.cache import cache_folder
from producer.base.disk import put_in_place
from producer.base.errors import CommandError
from producer.base.logs import event

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PlaceVectors:
    """What of an encoder decides, once pictures and captions are vectors.

    Attributes:
        vectors: of the places, of unit length, ``[p, d]``.
        image_logit_scale: see `Encoder`.
        text_logit_scale: likewise.
    """

    vectors: NDArray[np.float32]
    image_logit_scale: float
    text_logit_scale: float


def place_vectors(
    identity: str, places: Places, templates: tuple[str, ...], load: Callable[[], Encoder]
) -> PlaceVectors:
    """Of the places with these templates: from disk, or by an encoder.

    Args:
        identity: the encoder's model and weights by name. How it computes pictures and captions is all the same:
            prompts are always computed by torch in fp32.
        places: the label set.
        templates: prompts of the places.
        load: gives the encoder, where the disk has no vectors.

    Raises:
        CommandError: the encoder cannot be loaded.
    """
    try:
        path = cache_folder("places") / f"{_key(identity, places, templates)}.npz"
    except CommandError as error:
        event(log, logging.WARNING, "the places' vectors are not kept", why=error)
        return _compute(places, templates, load())
    found = _read(path, len(places.places))
    if found is not None:
        return found
    made = _compute(places, templates, load())
    try:
        with tempfile.TemporaryDirectory(dir=path.parent) as own, (Path(own) / path.name).open("wb") as file:
            np.savez(file, vectors=made.vectors, logit_scales=[made.image_logit_scale, made.text_logit_scale])
            put_in_place(file, path)
    except OSError as error:  # a full disk costs seconds at the next start, no more
        event(log, logging.WARNING, "the places' vectors are not kept", why=error)
    return made


def _compute(places: Places, templates: tuple[str, ...], encoder: Encoder) -> PlaceVectors:
    return PlaceVectors(places.vectors(encoder, templates), encoder.image_logit_scale, encoder.text_logit_scale)


def _read(path: Path, rows: int) -> PlaceVectors | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            vectors, (of_images, of_texts) = file["vectors"], map(float, file["logit_scales"])
    except (OSError, ValueError, EOFError, KeyError, AttributeError, TypeError, zipfile.BadZipFile):
        return None  # not there, or damaged
    is_whole = vectors.dtype == np.float32 and vectors.ndim == 2 and len(vectors) == rows
    if not is_whole or not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3):
        return None
    return PlaceVectors(vectors, of_images, of_texts)


def _key(identity: str, places: Places, templates: tuple[str, ...]) -> str:
    prompts = [place.prompts(templates) for place in places.places]
    return hashlib.sha256(json.dumps([identity, versions(), prompts]).encode()).hexdigest()[:32]
