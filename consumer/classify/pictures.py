"""From the bytes of a post to a picture that is certain to be usable: RGB, upright, completely decoded."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
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


def plain_jpeg(data: bytes, limits: PictureLimits, decoder: Callable[[bytes], torch.Tensor]) -> torch.Tensor | None:
    """The levels of a usual JPEG, by another decoder than Pillow's: uint8, ``[3, h, w]``. Thread-safe.

    Usual is what ends with its end mark and is within the limits, baseline, upright, in colour or grey, and not too
    long.

    Returns:
        None for anything else, and where the decoder fails: `decode` shall judge then.
    """
    if len(data) > limits.max_bytes or not data.endswith(b"\xff\xd9"):
        return None
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            width, height = image.size
            if (
                width * height > limits.max_pixels
                or max(width, height) > MAX_ELONGATION * min(width, height)
                or image.mode not in ("RGB", "L")
                or "progressive" in image.info
                or image.getexif().get(ExifTags.Base.Orientation, 1) != 1
            ):
                return None
        return decoder(data)
    except Exception:  # of Pillow as in `_open`, or of the decoder: Pillow's whole decoding says what is wrong
        return None


def levels(picture: Image.Image) -> torch.Tensor:
    """The levels of an RGB picture as torch has them: uint8, ``[3, h, w]``."""
    pixels: NDArray[np.uint8] = np.array(picture)
    return torch.from_numpy(pixels).permute(2, 0, 1)


def middle_square(
    levels: torch.Tensor, side: int, interpolation: Literal["bicubic", "bilinear"] = "bicubic"
) -> torch.Tensor:
    """The short side of a picture resized to ``side``, and the middle of the long one: uint8, ``[3, side, side]``.

    The same as torchvision's ``Resize(side)`` and ``CenterCrop(side)`` of the Pillow image: photographs differ by one
    level of 255 at most (torch rounds its weights to 16 bits), noise by two. It takes an eighth of the time.
    """
    height, width = levels.shape[1:]
    short, long = min(width, height), max(width, height)
    resized = (side, int(side * long / short)) if height <= width else (int(side * long / short), side)
    square = levels.unsqueeze(0)
    if resized != (height, width):
        square = _resized(square, resized, interpolation)
    top, left = (round((length - side) / 2) for length in resized)
    return square[0, :, top : top + side, left : left + side].contiguous()


def _resized(
    picture: torch.Tensor, size: tuple[int, int], interpolation: Literal["bicubic", "bilinear"]
) -> torch.Tensor:
    if picture.device.type == "cpu":
        return F.interpolate(picture, size, mode=interpolation, antialias=True)
    exact = F.interpolate(picture.float(), size, mode=interpolation, antialias=True)  # elsewhere not of bytes
    return exact.round_().clamp_(0, 255).to(torch.uint8)


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
