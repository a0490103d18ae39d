"""From the bytes of a post to a small JPEG for a page: nothing of the original's metadata, nothing but pixels."""

import io

from PIL import Image

from consumer.classify.pictures.decode import LABELLED
from consumer.classify.pictures.pool import decoders

SIDE = 480
"""Longest side of the small picture, in pixels."""


def small_jpeg(data: bytes) -> bytes:
    """A picture as the worker decodes it (upright, on white where it is transparent), its longest side at most `SIDE`.

    Raises:
        PictureError: it is no picture, too large, or broken.
    """
    picture = Image.fromarray(decoders(LABELLED).one(data))
    picture.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=82)
    return out.getvalue()
