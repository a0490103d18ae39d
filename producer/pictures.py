"""Which pictures are read: the formats that the decoder opens, and how their files end."""

from functools import cache

from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
"""Raster formats only, as Pillow calls them: EPS, PDF and WMF would run other programs."""


@cache
def endings() -> frozenset[str]:
    """The endings of these formats' files (``.jpg``, ``.jfif``, ``.tif`` …), in lower case, as Pillow has them."""
    return frozenset(ending for ending, name in Image.registered_extensions().items() if name in FORMATS)
