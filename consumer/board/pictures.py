"""From the bytes of a post to a small JPEG for a page: nothing of the original's metadata, nothing but pixels.

The limits are those of `consumer.classify.pictures`, which cannot be imported here: it loads torch.
"""

import io

import numpy as np
from PIL import Image, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
"""Raster formats only: EPS, PDF and WMF would run other programs."""
MAX_BYTES = 15 * 2**20
MAX_PIXELS = 50_000_000
SIDE = 480
"""Longest side of the small picture, in pixels."""


class Unreadable(ValueError):
    """The picture cannot be shown."""


def small_jpeg(data: bytes) -> bytes:
    """A picture, upright, on white where it is transparent, its longest side at most `SIDE`.

    Raises:
        Unreadable: it is no picture, too large, or broken.
    """
    if len(data) > MAX_BYTES:
        raise Unreadable(f"{len(data)} bytes are more than {MAX_BYTES}")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Unreadable(f"{image.width} x {image.height} pixels are more than {MAX_PIXELS}")
            image.draft("RGB", (2 * SIDE, 2 * SIDE))  # a JPEG decodes to an eighth as well as to all
            upright = ImageOps.exif_transpose(image)
            upright.thumbnail((SIDE, SIDE))
            if upright.mode.startswith("I") or upright.mode == "F":
                upright = _stretched(upright)
            if upright.has_transparency_data:
                above = upright.convert("RGBA")
                upright = Image.alpha_composite(Image.new("RGBA", above.size, "white"), above)
            small = Image.new("RGB", upright.size)  # takes pixels alone
            small.paste(upright.convert("RGB"))
            out = io.BytesIO()
            small.save(out, "JPEG", quality=82)
            return out.getvalue()
    except Unreadable:
        raise
    except Exception as error:  # Pillow's decoders raise anything from EOFError to SystemError on broken data
        raise Unreadable(" ".join(str(error).split())[:200] or type(error).__name__) from None


def _stretched(deep: Image.Image) -> Image.Image:
    """Deep greyscale with its own darkest level black and its lightest white: Pillow's conversion clips to white."""
    levels = np.nan_to_num(np.asarray(deep).astype(np.float32), posinf=0.0, neginf=0.0)
    levels -= levels.min()
    return Image.fromarray((levels * (255 / max(float(levels.max()), 1e-9))).astype(np.uint8))
