"""Pictures made for the tests, encoded."""

import io
from typing import Any

import numpy as np
from PIL import Image


def encoded(image: Image.Image, picture_format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, picture_format, **options)
    return buffer.getvalue()


def plain(colour: str, picture_format: str = "PNG", size: tuple[int, int] = (8, 6)) -> bytes:
    return encoded(Image.new("RGB", size, colour), picture_format)


def photo(width: int = 64, height: int = 48, seed: int = 205) -> Image.Image:
    """Something with structure: smooth random colours."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)
