"""From a decoded Pillow image of any mode to RGB levels: deep grey scaled, colours in sRGB, transparency on white."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from consumer.classify.pictures.deep import DEPTHS, depth_of
from consumer.classify.pictures.profile import Conversion, to_srgb

BAND = 4_000_000
"""Pixels that are converted to RGB at a time: of a large picture there is never a second copy."""


def levels(image: Image.Image) -> NDArray[np.uint8]:
    """The levels of a picture of any mode, ``[h, w, 3]``; converted band after band, for memory's sake.

    Raises:
        Exception: whatever Pillow raises.
    """
    convert = to_srgb(image.info.get("icc_profile"), image.mode)
    deep = _Deep.of(image) if image.mode.startswith("I") or image.mode == "F" else None
    made = np.empty((image.height, image.width, 3), np.uint8)
    top = 0
    for band in _bands(image):
        eight_bits = deep.to_eight_bits(band) if deep else band
        made[top : top + band.height] = np.asarray(_to_rgb(eight_bits, convert))
        top += band.height
    return made


def _bands(image: Image.Image) -> Iterator[Image.Image]:
    """The picture as bands of whole rows, from the top."""
    rows = max(1, BAND // image.width)
    if image.height <= rows:
        yield image
        return
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height)))


def _to_rgb(image: Image.Image, convert: Conversion | None) -> Image.Image:
    if image.has_transparency_data:
        shown = image.convert("RGBA")
        if convert:
            opacity, shown = shown.getchannel("A"), convert(image)
            shown.putalpha(opacity)
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), shown).convert("RGB")
    if convert:
        return convert(image)
    return image if image.mode == "RGB" else image.convert("RGB")


@dataclass(frozen=True, slots=True)
class _Deep:
    """How the levels of a deep greyscale picture become eight bits; Pillow's own conversion clips them to white.

    Attributes:
        darkest: its lowest level.
        brightest: its highest, of what is not transparent.
        transparent: the level that is.
    """

    darkest: float
    brightest: float
    transparent: int | None

    @classmethod
    def of(cls, image: Image.Image) -> "_Deep":
        transparent = image.info.get("transparency")
        transparent = transparent if isinstance(transparent, int) else None
        each = [(values.min(), values.max()) for values in (_opaque(band, transparent) for band in _bands(image))]
        return cls(float(min(low for low, _ in each)), float(max(high for _, high in each)), transparent)

    def to_eight_bits(self, image: Image.Image) -> Image.Image:
        values = np.asarray(image)
        if image.mode != "F" and self.darkest >= 0 and self.brightest < 2 ** DEPTHS[-1]:
            eight_bits = (values >> (depth_of(self.brightest) - 8)).astype(np.uint8)
        else:  # no usual scale: use the picture's own
            stretch = 255 / max(self.brightest - self.darkest, 1e-9)
            eight_bits = ((_opaque(image, None) - np.float32(self.darkest)) * np.float32(stretch)).astype(np.uint8)
        if self.transparent is not None:
            eight_bits[values == self.transparent] = 255
        return Image.fromarray(eight_bits)


def _opaque(image: Image.Image, transparent: int | None) -> NDArray[np.float32]:
    """Its levels, with 0 for those that say nothing."""
    values = np.nan_to_num(np.asarray(image).astype(np.float32), posinf=0.0, neginf=0.0)
    if transparent is not None:
        values[values == transparent] = 0
    return values
