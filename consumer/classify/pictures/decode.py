"""From the bytes of a post to a picture that is certain to be usable: RGB, upright, completely decoded.

Runs in a decoder process (`process.py`); everybody else asks `pool.py`.
"""

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from consumer.classify.pictures import png
from consumer.classify.pictures.deep import Deep
from consumer.classify.pictures.kinds import avif_size, kind_of
from consumer.classify.pictures.rgb import levels
from consumer.classify.pictures.rows import MIN_DECODED, rows_there
from consumer.classify.pictures.structure import TooMuch, check_structure
from producer.pictures import FORMATS

MAX_PIXELS = 178_956_970
"""Pillow itself refuses larger pictures."""
MAX_ELONGATION = 50
"""A longer strip is cut to its middle: resizing the short side of 1 x 50,000 to 224 would make 2.5 billion pixels."""

_UNKNOWN = re.compile("unsupported|unknown|not supported|cannot handle|no decoder", re.IGNORECASE)
"""What Pillow's readers say of a header that they understand, but not what follows it."""


class PictureError(ValueError):
    """The picture cannot be used; ``reason`` is the dead letter's reason."""

    reason = "not_an_image"


class NotAnImage(PictureError):
    """Nothing of a picture, or a picture of a kind that is not read."""

    reason = "not_an_image"


class TruncatedImage(PictureError):
    """A picture by its signature or header, but its pixels cannot be read."""

    reason = "truncated_image"


class ImageTooLarge(PictureError):
    """More bytes, pixels or parts than the limits allow."""

    reason = "image_too_large"


class DecodeFailed(PictureError):
    """Decoding took too long or too much memory, or ended its process."""

    reason = "decode_failed"


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """What is refused before it is decoded, and what decoding may cost.

    Attributes:
        max_bytes: of the encoded picture.
        max_pixels: width times height, as the header says.
        max_side: width or height, in pixels.
        timeout: seconds of CPU time.
    """

    max_bytes: int = 15 * 2**20
    max_pixels: int = 50_000_000
    max_side: int = 30_000
    timeout: float = 5.0


LABELLED = PictureLimits(max_bytes=2**28, max_pixels=MAX_PIXELS, max_side=MAX_PIXELS, timeout=60.0)
"""Of a picture that a worker has labelled, within its own limits, and that is shown now."""


def decode(data: bytes, limits: PictureLimits, on_cut: Callable[[], object] = lambda: None) -> NDArray[np.uint8]:
    """Decode a picture completely; of an animation the first frame.

    Greyscale, CMYK, palettes, deep levels and the colours of an ICC profile become sRGB, transparency becomes white,
    EXIF rotation is applied. A JPEG or PNG that ends early is cut to the rows that are there, if these are nearly all.

    Args:
        data: encoded.
        limits: what is refused.
        on_cut: called where the picture was cut to its rows.

    Returns:
        Its levels, ``[h, w, 3]``.

    Raises:
        PictureError: as NotAnImage, TruncatedImage or ImageTooLarge.
        MemoryError: it takes more than there is.
    """
    check_encoded(data, limits)
    try:
        image = _open(data)
    except (MemoryError, PictureError):
        raise
    except Exception as error:  # UnidentifiedImageError, or whatever a broken header makes its reader raise
        raise _not_opened(data, limits) from error
    width, height = image.size
    check_size(width, height, limits)
    if not width * height:
        raise NotAnImage(f"{_a(image.format)} of {width} x {height} pixels")
    try:
        deep = Deep.of(image)
        there = _loaded(image, data, _open)
        if deep:
            there = _scaled(there, data, deep)
        if there.height < height:
            on_cut()
        return levels(_middle(_upright(there)))
    except (MemoryError, PictureError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(str(error)) from error
    except Exception as error:  # Pillow's decoders raise anything from EOFError to SystemError on broken data
        raise TruncatedImage(f"pixels of the {image.format} cannot be read: {_one_line(error)}") from error


def check_encoded(data: bytes, limits: PictureLimits) -> None:
    """Refuse what can be refused without decoding anything.

    Raises:
        ImageTooLarge: too many bytes, or parts.
    """
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(f"{len(data)} bytes; at most {limits.max_bytes} are allowed")
    try:
        check_structure(data)
    except TooMuch as error:
        raise ImageTooLarge(str(error)) from None


def check_size(width: int, height: int, limits: PictureLimits) -> None:
    """Refuse what is larger than allowed.

    Raises:
        ImageTooLarge: it is.
    """
    if width * height > limits.max_pixels:
        raise ImageTooLarge(f"{width} x {height} pixels; at most {limits.max_pixels} are allowed")
    if max(width, height) > limits.max_side:
        raise ImageTooLarge(f"{width} x {height} pixels; a side may have {limits.max_side}")


def _open(data: bytes) -> Image.Image:
    profile = None
    if data.startswith(png.SIGNATURE):
        data, profile = png.essential(data)
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(str(error)) from error
    if profile:
        image.info["icc_profile"] = profile
    return image


def _not_opened(data: bytes, limits: PictureLimits) -> PictureError:
    """Why Pillow finds no picture.

    Raises:
        ImageTooLarge: it is one, too large for its library.
    """
    kind, all_read = kind_of(data), f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
    if kind is None:
        return NotAnImage(f"{len(data)} bytes that are no {all_read}")
    if kind not in FORMATS:
        return NotAnImage(f"{len(data)} bytes of {kind}, which is not read: send {all_read}")
    if kind == "AVIF":
        check_size(*avif_size(data), limits)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of a directory that is cut off
            # `Image.open` keeps to itself what this says
            Image.OPEN[kind][0](io.BytesIO(png.essential(data)[0] if kind == "PNG" else data), "").close()
        why = "its header cannot be read"
    except MemoryError:
        raise
    except Exception as error:
        why = _one_line(error)
        if isinstance(error.__cause__, KeyError) and why == str(error.__cause__):  # a compression that it has not
            why = f"unknown {why}"
        if _UNKNOWN.search(why):
            return NotAnImage(f"{_a(kind)} of a kind that is not read: {why}")
    return TruncatedImage(f"{len(data)} bytes of {_a(kind)} that is broken or ends early: {why}")


def _loaded(image: Image.Image, data: bytes, open_: Callable[[bytes], Image.Image]) -> Image.Image:
    """The picture with its pixels; of a JPEG or PNG that ends early, the rows that are there.

    Args:
        image: open.
        data: encoded.
        open_: opens it again.

    Raises:
        TruncatedImage: these are too few.
        Exception: whatever Pillow raises.
    """
    try:
        image.load()
        return image
    except (OSError, SyntaxError):
        if image.format not in ("JPEG", "MPO", "PNG"):
            raise
    kind, height = image.format, image.height
    image.close()
    there = rows_there(data, open_)
    if there.height < MIN_DECODED * height:
        share = int(100 * there.height / height)
        raise TruncatedImage(
            f"a {kind} that is broken or ends early: {there.height} of {height} rows are whole, {share}%; "
            f"{MIN_DECODED:.0%} must be"
        )
    return there


def _scaled(there: Image.Image, data: bytes, deep: Deep) -> Image.Image:
    def open_lower(data: bytes) -> Image.Image:
        return deep.opened(_open(data))

    return deep.scaled(there, lambda: _loaded(open_lower(data), data, open_lower))


def _upright(image: Image.Image) -> Image.Image:
    try:
        if image.getexif().get(ExifTags.Base.Orientation, 1) == 1:
            return image
        turned = ImageOps.exif_transpose(image)  # which copies the picture in any case
    except MemoryError:
        raise
    except Exception:  # broken EXIF says nothing about the pixels, which are there
        return image
    image.close()
    return turned


def _middle(image: Image.Image) -> Image.Image:
    width, height = image.size
    longest = MAX_ELONGATION * min(width, height)
    if max(width, height) <= longest:
        return image
    left, top = max(0, (width - longest) // 2), max(0, (height - longest) // 2)
    return image.crop((left, top, left + min(width, longest), top + min(height, longest)))


def _a(kind: str | None) -> str:
    return f"{'an' if kind == 'AVIF' else 'a'} {kind}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
