"""Colours of 10, 12 or 14 bits that lie in 16, right-aligned: of each level Pillow keeps the upper byte, nearly black.

The lower bytes are read where the upper ones are all as dark as that, by another of Pillow's raw modes.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

DEPTHS = (8, 10, 12, 14, 16)
"""Bits of a level that cameras and programs write, right-aligned, into 16 or 32."""

_DARK = 2 ** (DEPTHS[-2] - 8)
"""Upper bytes are below it where 14 bits are enough."""
_BAND = 1_000_000
"""Pixels that are put together at a time."""
_OTHER = {";16B": ";16L", ";16L": ";16B", ";16N": ";16B" if sys.byteorder == "little" else ";16L"}
_OF_GREY, _ALL_OF_GREY = "LA;16B", "RGBA"
"""Deep grey with opacity; and its four bytes, as they are."""


def depth_of(brightest: float) -> int:
    """The fewest bits, of those that are usual, that hold a level below 65,536."""
    return next(depth for depth in DEPTHS if brightest < 2**depth)


@dataclass(frozen=True, slots=True)
class Deep:
    """A picture of colours of 16 bits.

    Attributes:
        raw: the raw mode by which Pillow reads the bytes that it else leaves out.
    """

    raw: str

    @classmethod
    def of(cls, image: Image.Image) -> "Deep | None":
        """Look at a picture that is open, but not loaded; None where nothing is left out."""
        raws = {tile.args if isinstance(tile.args, str) else tile.args[0] for tile in getattr(image, "tile", ())}
        raw = str(raws.pop()) if len(raws) == 1 else ""
        if raw == _OF_GREY:
            return cls(_ALL_OF_GREY)
        mode, order = raw[:-4], raw[-4:]
        return cls(mode + _OTHER[order]) if mode in ("RGB", "RGBA", "RGBX", "CMYK") and order in _OTHER else None

    def opened(self, image: Image.Image) -> Image.Image:
        """The same picture, open again: it will be loaded with the lower bytes."""
        tiles: Any = image
        tiles.tile = [
            tile._replace(args=self.raw if isinstance(tile.args, str) else (self.raw, *tile.args[1:]))
            for tile in tiles.tile
        ]
        return image

    def scaled(self, upper: Image.Image, load_lower: Callable[[], Image.Image]) -> Image.Image:
        """The picture with its levels scaled by the bits that hold them; as it is where these are all.

        Args:
            upper: as Pillow loads it.
            load_lower: the same, `opened` and loaded.

        Raises:
            Exception: whatever Pillow raises.
        """
        colours = 3 if upper.mode == "RGBA" else len(upper.getbands())
        if max(high for _, high in _extrema(upper)[:colours]) >= _DARK:
            return upper
        lower = load_lower()
        columns = [1, 1, 1, 3] if self.raw == _ALL_OF_GREY else list(range(len(upper.getbands())))
        rows = max(1, _BAND // upper.width)
        tops = range(0, upper.height, rows)

        def values(top: int) -> Any:
            box = (0, top, upper.width, min(top + rows, upper.height))
            high, low = (np.asarray(image.crop(box)).astype(np.uint16) for image in (upper, lower))
            return high << 8 | low[..., columns]

        brightest = np.max([values(top).max(axis=(0, 1)) for top in tops], axis=0)
        depths = [depth_of(brightest[:colours].max())] * colours + list(map(depth_of, brightest[colours:]))
        for top in tops:
            scaled = (values(top) >> (np.array(depths, np.uint16) - 8)).astype(np.uint8)
            upper.paste(Image.frombytes(upper.mode, (upper.width, len(scaled)), scaled.tobytes()), (0, top))
        return upper


def _extrema(image: Image.Image) -> Any:
    return image.getextrema()
