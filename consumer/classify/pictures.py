"""From the bytes of a post to a picture that is certain to be usable: RGB, upright, completely decoded."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
"""Raster formats only: EPS, PDF and WMF would run other programs."""

MAX_ELONGATION = 50
"""A longer strip is cut to its middle: resizing the short side of 1 x 50,000 to 224 would make 2.5 billion pixels."""


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
    """More bytes or pixels than the limits allow."""

    reason = "image_too_large"


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """What is refused before it is decoded.

    Attributes:
        max_bytes: of the encoded picture.
        max_pixels: width times height, as the header says.
    """

    max_bytes: int = 15 * 2**20
    max_pixels: int = 50_000_000


def decode(data: bytes, limits: PictureLimits) -> Image.Image:
    """Decode a picture completely; of an animation the first frame. Thread-safe.

    Greyscale, CMYK, palettes and 16 bits become RGB, transparency becomes white, EXIF rotation is applied.

    Raises:
        PictureError: as NotAnImage, TruncatedImage or ImageTooLarge; nothing else.
    """
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(f"{len(data)} bytes; at most {limits.max_bytes} are allowed")
    with _open(data) as image:
        width, height = image.size
        if width * height > limits.max_pixels:
            raise ImageTooLarge(f"{width} x {height} pixels; at most {limits.max_pixels} are allowed")
        if not width * height:
            raise NotAnImage(f"a {image.format} of {width} x {height} pixels")
        try:
            image.load()
            return _middle(_to_rgb(_upright(image)))
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise ImageTooLarge(str(error)) from error
        except Exception as error:  # Pillow's decoders raise anything from EOFError to SystemError on broken data
            raise TruncatedImage(f"pixels of the {image.format} cannot be read: {_one_line(error)}") from error


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
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
        is_upright = image.getexif().get(ExifTags.Base.Orientation, 1) == 1
        return image if is_upright else ImageOps.exif_transpose(image)  # which copies the picture in any case
    except Exception:  # broken EXIF says nothing about the pixels, which are there
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_eight_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale the levels of a deep greyscale picture; Pillow's own conversion clips them to white."""
    levels = np.asarray(image)
    if image.mode != "F" and levels.min() >= 0 and levels.max() < 2**16:
        return Image.fromarray((levels >> 8).astype(np.uint8))
    levels = np.nan_to_num(levels.astype(np.float32), posinf=0.0, neginf=0.0)  # no usual scale: use the picture's own
    levels -= levels.min()
    return Image.fromarray((levels * (255 / max(float(levels.max()), 1e-9))).astype(np.uint8))


def _middle(image: Image.Image) -> Image.Image:
    width, height = image.size
    longest = MAX_ELONGATION * min(width, height)
    if max(width, height) <= longest:
        return image
    left, top = max(0, (width - longest) // 2), max(0, (height - longest) // 2)
    return image.crop((left, top, left + min(width, longest), top + min(height, longest)))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
