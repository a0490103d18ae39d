"""From the bytes of a post to a small JPEG for a page: nothing of the original's metadata, nothing but pixels."""

import io

from PIL import Image

from consumer.classify.pictures import PictureError, PictureLimits, decode

LIMITS = PictureLimits()
SIDE = 480
"""Longest side of the small picture, in pixels."""


class Unreadable(ValueError):
    """The picture cannot be shown."""


def small_jpeg(data: bytes) -> bytes:
    """A picture as the worker decodes it (upright, on white where it is transparent), its longest side at most `SIDE`.

    Raises:
        Unreadable: it is no picture, too large, or broken.
    """
    try:
        picture = decode(data, LIMITS)
    except PictureError as error:
        raise Unreadable(str(error)) from None
    picture.thumbnail((SIDE, SIDE))
    small = Image.new("RGB", picture.size)  # takes pixels alone
    small.paste(picture)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=82)
    return out.getvalue()
