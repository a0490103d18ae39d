"""A picture's ICC profile: its colours as a browser shows them, in sRGB."""

import io
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

SUFFIX = "+icc"
"""The end of an encoder's name: labels of before ignored profiles, and a label says what it was made with."""

AS_SRGB = 2
"""Levels of 255: a profile that moves no colour further is sRGB, in one of its many forms."""
KEPT = 64 * 2**10
"""Bytes of a profile whose conversion is kept for the next picture; those of cameras and programs are smaller."""

Conversion = Callable[[Image.Image], Image.Image]
"""Takes a picture without transparency; gives the same in sRGB, as RGB."""

_SRGB = ImageCms.createProfile("sRGB")
_MODES = {"GRAY": "L", "RGB ": "RGB", "CMYK": "CMYK"}
"""Colour space of a profile -> mode of the pictures that it describes."""


def to_srgb(profile: object, mode: str) -> Conversion | None:
    """The conversion of a profile's colours to sRGB, for a picture of a mode.

    Returns:
        None where there is nothing to do, or nothing that can be done: no profile, sRGB itself, a broken profile, or
        one of another kind of picture. The levels stand as they are then, as in a browser.

    Raises:
        MemoryError: it takes more than there is.
    """
    if not isinstance(profile, bytes):  # a TIFF may have anything there
        return None
    is_grey, is_cmyk = mode in ("1", "L", "LA", "La", "F") or mode.startswith("I"), mode == "CMYK"
    return (_kept if len(profile) <= KEPT else _conversion)(profile, is_grey, is_cmyk)


def _conversion(profile: bytes, is_grey: bool, is_cmyk: bool) -> Conversion | None:
    try:
        described = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _MODES[described.profile.xcolor_space]
        if (mode == "CMYK") != is_cmyk or (mode == "L" and not is_grey):
            return None
        transform = ImageCms.buildTransform(described, _SRGB, mode, "RGB")
        if _is_srgb(transform, mode):
            return None
    except MemoryError:
        raise
    except Exception:  # of Pillow or LittleCMS: the profile is broken, the pixels are not
        return None
    return lambda image: _applied(transform, image.convert(mode))


_kept = lru_cache(maxsize=16)(_conversion)


def _is_srgb(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    if mode == "CMYK":
        return False
    each = np.linspace(0, 255, 16).round().astype(np.uint8)
    colours = Image.fromarray(np.stack(np.meshgrid(each, each, each), -1).reshape(16, -1, 3)).convert(mode)
    apart = np.asarray(_applied(transform, colours), int) - np.asarray(colours.convert("RGB"), int)
    return bool(np.abs(apart).max() <= AS_SRGB)


def _applied(transform: ImageCms.ImageCmsTransform, image: Image.Image) -> Image.Image:
    converted = Image.new("RGB", image.size)
    transform.apply(image, converted)
    return converted
