"""Of a JPEG or PNG that ends early: which of its rows are there. They are as good as those of a whole one."""

import bisect
import hashlib
from collections.abc import Callable
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from consumer.classify.pictures.structure import jpeg_scans

MIN_DECODED = 0.9
"""Share of the rows that must be there: what a browser shows of such a picture is hardly less than the picture."""

_ROWS = 256
"""Rows that are compared at a time."""
_NOISE = hashlib.shake_128(b"no picture has this").digest(4096).replace(b"\xff", b"")


def rows_there(data: bytes, open_: Callable[[bytes], Image.Image]) -> Image.Image:
    """The rows of a picture that are there, from the top; none where that cannot be told.

    Args:
        data: a JPEG or PNG whose pixels end early.
        open_: as `Image.open` does; each call takes as much memory as the picture.

    Raises:
        Exception: whatever Pillow raises.
    """
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data.rstrip(b"\xff"), open_)
    return _png(open_(data))


def _jpeg(data: bytes, open_: Callable[[bytes], Image.Image]) -> Image.Image:
    """What does not depend on how the file would go on: behind a whole scan a decoder passes over anything.

    In a JPEG of several scans each row needs all of them, so that it is whole or nothing.
    """
    end = b"\xff\xd9"
    first = open_(data + end)
    whole = np.asarray(first)  # loads it
    first.close()
    second = open_(data + _NOISE + end)
    second.load()
    rows = _rows_alike(whole, second)
    scans, are_all = jpeg_scans(data)
    if not are_all or (scans > 1 and rows < second.height):
        rows = 0
    return second.crop((0, 0, second.width, rows))


def _rows_alike(whole: NDArray[np.uint8], other: Image.Image) -> int:
    """How many rows from the top are the same."""
    for top in range(0, other.height, _ROWS):
        bottom = min(top + _ROWS, other.height)
        band = np.asarray(other.crop((0, top, other.width, bottom)))
        differs = (band != whole[top:bottom]).reshape(bottom - top, -1).any(axis=1)
        if differs.any():
            return top + int(differs.argmax())
    return other.height


def _png(image: Image.Image) -> Image.Image:
    """What has replaced noise. The rows of an interlaced PNG come in seven turns: none is sure."""
    width, height = image.size
    if image.info.get("interlace"):
        return Image.new(image.mode, (width, 0))
    row = hashlib.shake_128(b"a row").digest(len(Image.new(image.mode, (width, 1)).tobytes()))
    noise = Image.frombytes(image.mode, (width, 1), row).tobytes()  # of its bits, those that the mode knows
    image.im = Image.frombytes(image.mode, image.size, noise * height).im
    with suppress(OSError, SyntaxError):
        image.load()
    image.tile = []  # type: ignore[attr-defined]  # it is read, as far as it goes
    rows = bisect.bisect_left(range(height), True, key=lambda y: image.crop((0, y, width, y + 1)).tobytes() == noise)
    return image.crop((0, 0, width, rows))
