"""The places' vectors of an encoder, kept on disk: they are arithmetic's half of a label, and need no model again."""

import hashlib
import json
import logging
import tempfile
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from consumer import __version__
from consumer.classify.encoders.encoder import Encoder
from consumer.classify.places import Places
from producer.base.cache import cache_folder
from producer.base.disk import put_in_place
from producer.base.errors import CommandError
from producer.base.logs import event

log = logging.getLogger(__name__)

PACKAGES = ("torch", "open_clip_torch", "transformers")
"""Another version of them may round, or choose random weights, otherwise."""


def place_vectors(
    identity: str, places: Places, templates: tuple[str, ...], load: Callable[[], Encoder]
) -> NDArray[np.float32]:
    """Of the places with these templates, ``[p, d]``: from disk, or by an encoder.

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
        path = cache_folder("places") / f"{_key(identity, places, templates)}.npy"
    except CommandError as error:
        event(log, logging.WARNING, "the places' vectors are not kept", why=error)
        return places.vectors(load(), templates)
    found = _read(path, len(places.places))
    if found is not None:
        return found
    vectors = places.vectors(load(), templates)
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            np.save(file, vectors)
            put_in_place(file, path)
    except OSError as error:  # a full disk costs seconds at the next start, no more
        event(log, logging.WARNING, "the places' vectors are not kept", why=error)
    return vectors


def _read(path: Path, rows: int) -> NDArray[np.float32] | None:
    try:
        vectors = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):  # not there, or damaged
        return None
    is_whole = vectors.dtype == np.float32 and vectors.ndim == 2 and len(vectors) == rows
    return vectors if is_whole and np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3) else None


def _key(identity: str, places: Places, templates: tuple[str, ...]) -> str:
    versions = (__version__, *(version(each) for each in PACKAGES if find_spec(each.removesuffix("_torch"))))
    prompts = [place.prompts(templates) for place in places.places]
    return hashlib.sha256(json.dumps([identity, versions, prompts]).encode()).hexdigest()[:32]
