"""From a picture's levels to what a model's image tower takes: as torch has them, cut to a square."""

import io
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import ExifTags, Image

from consumer.classify.pictures.decode import MAX_ELONGATION, PictureLimits, check_encoded, check_size


def levels(pixels: NDArray[np.uint8]) -> torch.Tensor:
    """The levels of an RGB picture, ``[h, w, 3]``, as torch has them: ``[3, h, w]``."""
    return torch.from_numpy(pixels).permute(2, 0, 1)


def plain_jpeg(data: bytes, limits: PictureLimits, decoder: Callable[[bytes], torch.Tensor]) -> torch.Tensor | None:
    """What another decoder than Pillow makes of a usual JPEG. Thread-safe.

    Usual is what ends with its end mark and is within the limits, baseline, upright, in colour or grey, without an ICC
    profile, and not too long.

    Returns:
        None for anything else, and where the decoder fails: `pictures.decode` judges then.
    """
    if not data.endswith(b"\xff\xd9"):
        return None
    try:
        check_encoded(data, limits)
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            width, height = image.size
            check_size(width, height, limits)
            if (
                max(width, height) > MAX_ELONGATION * min(width, height)
                or image.mode not in ("RGB", "L")
                or "progressive" in image.info
                or "icc_profile" in image.info
                or image.getexif().get(ExifTags.Base.Orientation, 1) != 1
            ):
                return None
        return decoder(data)
    except Exception:  # of Pillow, which raises anything, or of the decoder: Pillow's whole decoding says what is wrong
        return None


def middle_square(
    levels: torch.Tensor, side: int, interpolation: Literal["bicubic", "bilinear"] = "bicubic"
) -> torch.Tensor:
    """The short side of a picture resized to ``side``, and the middle of the long one: uint8, ``[3, side, side]``.

    The same as torchvision's ``Resize(side)`` and ``CenterCrop(side)`` of the Pillow image: they differ by two levels
    of 255 at most, and photographs hardly anywhere by more than one (torch rounds its weights to 16 bits). It takes an
    eighth of the time.
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
