"""The pictures that int8 is fitted to: the range of every number in the model is taken from what they make of it."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from consumer.classify.pictures.decode import PictureError, PictureLimits
from consumer.classify.pictures.levels import levels
from consumer.classify.pictures.pool import decoders
from producer.base.errors import CommandError
from producer.dataset.entry import Entry, Refused
from producer.dataset.open import open_dataset

PICTURES = 300
"""As many as NNCF takes by default."""
LEAST = 30
"""With fewer, ranges are chance."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The first pictures of a dataset.

    Attributes:
        pictures: as they are on disk: decoded, 300 photographs of a phone would take 10 GB.
        limits: of the pictures.
        stamp: eight hexadecimal digits of a hash over all of them.
    """

    pictures: tuple[bytes, ...]
    limits: PictureLimits
    stamp: str

    def levels(self) -> Iterator[torch.Tensor]:
        """The pictures one after the other, uint8, ``[3, h, w]`` each."""
        return (levels(decoders(self.limits).one(picture)) for picture in self.pictures)


def load(path: Path, limits: PictureLimits) -> Calibration:
    """Read the first pictures of a dataset that can be used.

    Args:
        path: of the dataset, as `producer replay` takes it.
        limits: of the pictures.

    Raises:
        CommandError: no dataset, or too few pictures in it.
    """
    found: list[bytes] = []
    digest = hashlib.sha256()
    for entry in open_dataset(path).entries():
        if len(found) == PICTURES:
            break
        if isinstance(entry, Entry):
            try:
                post = entry.read(limits.max_bytes)
                decoders(limits).one(post.picture)
            except (Refused, PictureError):
                continue
            found.append(post.picture)
            digest.update(hashlib.sha256(post.picture).digest())
    if len(found) < LEAST:
        raise CommandError(
            f"CALIBRATION {path}: {len(found)} usable pictures; it takes {LEAST} at least, better {PICTURES}"
        )
    return Calibration(tuple(found), limits, digest.hexdigest()[:8])
