"""The posts that int8 is fitted to: the range of every number in the model is taken from what they make of it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch

from consumer.classify import pictures
from consumer.classify.captions import readable
from consumer.classify.levels import levels
from consumer.classify.pictures import PictureError, PictureLimits
from producer.dataset import open_dataset
from producer.entry import Entry, Refused
from producer.errors import CommandError

POSTS = 300
"""As many as NNCF takes by default."""
LEAST = 30
"""With fewer pictures or captions, ranges are chance."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The first posts of a dataset.

    Attributes:
        levels: of the pictures, uint8, ``[3, h, w]`` each.
        captions: as a classifier reads them; posts without one are left out.
        stamp: eight hexadecimal digits of a hash over all of it.
    """

    levels: tuple[torch.Tensor, ...]
    captions: tuple[str, ...]
    stamp: str


def load(path: Path, limits: PictureLimits) -> Calibration:
    """Read the first posts of a dataset that can be used.

    Args:
        path: of the dataset, as `producer replay` takes it.
        limits: of the pictures.

    Raises:
        CommandError: no dataset, or too few pictures or captions in it.
    """
    found: list[torch.Tensor] = []
    captions: list[str] = []
    digest = hashlib.sha256()
    for entry in open_dataset(path).entries():
        if len(found) == POSTS:
            break
        if isinstance(entry, Entry):
            try:
                post = entry.read(limits.max_bytes)
                found.append(levels(pictures.decode(post.picture, limits)))
            except (Refused, PictureError):
                continue
            caption = readable(post.caption)
            captions += [caption] if caption else []
            digest.update(repr((hashlib.sha256(post.picture).digest(), caption)).encode())
    if min(len(found), len(captions)) < LEAST:
        raise CommandError(
            f"CALIBRATION {path}: {len(found)} usable pictures and {len(captions)} captions; it takes {LEAST} of each "
            f"at least, better {POSTS}"
        )
    return Calibration(tuple(found), tuple(captions), digest.hexdigest()[:8])
