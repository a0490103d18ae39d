"""From the bytes of a post to a picture that is certain to be usable: RGB, upright, completely decoded.

Runs in a decoder process (`process.py`); everybody else asks `pool.py`.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from consumer.classify.pictures.structure import TooMuch, check_structure
from producer.pictures import FORMATS

MAX_ELONGATION = 50
"""A longer strip is cut to its middle: resizing the short side of 1 x 50,000 to 224 would make 2.5 billion pixels."""

BAND = 4_000_000
"""Pixels that are converted to RGB at a time: of a large picture there is never a second copy."""


class PictureError(ValueError):
    """The picture cannot be used; ``reason`` is the dead letter's reason."""

    reason = "not_an_image"


class NotAnImage(PictureError):
    """Nothing of a picture: no signature, no header."""

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


def decode(data: bytes, limits: PictureLimits) -> NDArray[np.uint8]:
    """Decode a picture completely; of an animation the first frame.

    Greyscale, CMYK, palettes and 16 bits become RGB, transparency becomes white, EXIF rotation is applied.

    Returns:
        Its levels, ``[h, w, 3]``.

    Raises:
        PictureError: as NotAnImage, TruncatedImage or ImageTooLarge.
        MemoryError: it takes more than there is.
    """
    check_encoded(data, limits)
    image = _open(data)
    width, height = image.size
    check_size(width, height, limits)
    if not width * height:
        raise NotAnImage(f"a {image.format} of {width} x {height} pixels")
    try:
        image.load()
        return _levels(_middle(_upright(image)))
    except MemoryError:
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
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except MemoryError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(str(error)) from error
    except Exception as error:  # UnidentifiedImageError, or whatever a broken header makes its reader raise
        if _begins_as_picture(data):
            raise TruncatedImage(f"{len(data)} bytes of a picture that is broken or ends early") from error
        raise NotAnImage(f"{len(data)} bytes that are no {', '.join(FORMATS[:-1])} or {FORMATS[-1]}") from error


def _begins_as_picture(data: bytes) -> bool:
    """Whether the bytes begin with a picture's signature, although Pillow finds no whole header behind it.

    It ends early or is broken then; WebP and AVIF are read only as a whole in any case.
    """
    return data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a")) or (
        data[8:12] == b"WEBP" or data[4:10] == b"ftypav"
    )


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


def _levels(image: Image.Image) -> NDArray[np.uint8]:
    """The levels of a picture of any mode, ``[h, w, 3]``; converted band after band, for memory's sake."""
    is_deep = image.mode.startswith("I") or image.mode == "F"
    darkest, brightest = _extremes(image) if is_deep else (np.float32(0), np.float32(0))
    levels = np.empty((image.height, image.width, 3), np.uint8)
    top = 0
    for band in _bands(image):
        if is_deep:
            band = _to_eight_bits(band, darkest, brightest)
        levels[top : top + band.height] = np.asarray(_to_rgb(band))
        top += band.height
    return levels


def _bands(image: Image.Image) -> Iterator[Image.Image]:
    """The picture as bands of whole rows, from the top."""
    rows = max(1, BAND // image.width)
    if image.height <= rows:
        yield image
        return
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height)))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _finite(image: Image.Image) -> NDArray[np.float32]:
    return np.nan_to_num(np.asarray(image).astype(np.float32), posinf=0.0, neginf=0.0)


def _extremes(image: Image.Image) -> tuple[np.float32, np.float32]:
    """The lowest and the highest level of a deep greyscale picture."""
    each = [(levels.min(), levels.max()) for levels in map(_finite, _bands(image))]
    return min(low for low, _ in each), max(high for _, high in each)


def _to_eight_bits(image: Image.Image, darkest: np.float32, brightest: np.float32) -> Image.Image:
    """Scale the levels of a deep greyscale picture, or of a band of it; Pillow's own conversion clips them to white."""
    if image.mode != "F" and darkest >= 0 and brightest < 2**16:
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    levels = _finite(image) - darkest  # no usual scale: use the picture's own
    return Image.fromarray((levels * (255 / max(float(brightest - darkest), 1e-9))).astype(np.uint8))


def _middle(image: Image.Image) -> Image.Image:
    width, height = image.size
    longest = MAX_ELONGATION * min(width, height)
    if max(width, height) <= longest:
        return image
    left, top = max(0, (width - longest) // 2), max(0, (height - longest) // 2)
    return image.crop((left, top, left + min(width, longest), top + min(height, longest)))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
