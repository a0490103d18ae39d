import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray

from consumer.classify.pictures.decode import PictureLimits, decode
from tests import attacks
from tests.unit.consumer.classify.photos import photo

LIMITS = PictureLimits()
PIXELS = np.asarray(photo())


def deep_png(levels: NDArray[np.uint16], colour: int) -> bytes:
    height, width, _ = levels.shape
    packed = zlib.compress(b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels))
    return attacks.png((b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)), (b"IDAT", packed))


def of_bits(levels: NDArray[np.uint8], bits: int) -> NDArray[np.uint16]:
    scaled: NDArray[np.uint16] = (levels.astype(np.uint32) * (2**bits - 1) // 255).astype(np.uint16)
    return scaled


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_deep_colours_are_scaled_by_the_bits_that_hold_them(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.classify.pictures.deep._BAND", 7 * PIXELS.shape[1])
    data = deep_png(of_bits(PIXELS, bits), 2)
    assert np.array_equal(decode(data, LIMITS), PIXELS)
    cut = decode(data[: int(0.97 * len(data))], LIMITS)
    assert np.array_equal(cut, PIXELS[: len(cut)])


@pytest.mark.parametrize("opacity", [1023, 65_535])
def test_the_opacity_of_deep_pictures_has_a_scale_of_its_own(opacity: int) -> None:
    for colour, levels in ((6, PIXELS), (4, PIXELS[..., :1])):
        with_opacity = np.dstack([of_bits(levels, 10), np.full(levels.shape[:2], opacity, np.uint16)])
        assert np.array_equal(decode(deep_png(with_opacity, colour), LIMITS), np.broadcast_to(levels, PIXELS.shape))


def test_a_black_picture_of_sixteen_bits_is_black() -> None:
    assert not decode(deep_png(np.zeros((4, 4, 3), np.uint16), 2), LIMITS).any()


def deep_tiff(levels: NDArray[np.uint16], order: str, compression: int) -> bytes:
    """Compression 1 is none, 8 zlib's."""
    height, width, _ = levels.shape
    pixels = levels.astype(f"{order}u2").tobytes()
    strip = zlib.compress(pixels) if compression == 8 else pixels
    tags = [(256, width), (257, height), (258, 122), (259, compression), (262, 2), (273, 128), (277, 3), (278, height)]
    tags.append((279, len(strip)))
    directory = b"".join(
        struct.pack(f"{order}HHI", tag, 3 if tag == 258 else 4, 3 if tag == 258 else 1)
        + struct.pack(f"{order}I", value)
        for tag, value in tags
    )
    begin = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}IH", 8, len(tags))
    return begin + directory + bytes(4) + struct.pack(f"{order}3H", 16, 16, 16) + strip


@pytest.mark.parametrize("compression", [1, 8])
@pytest.mark.parametrize("order", ["<", ">"])
def test_deep_colours_of_a_tiff_are_scaled_too(order: str, compression: int) -> None:
    for bits in (12, 16):
        assert np.array_equal(decode(deep_tiff(of_bits(PIXELS, bits), order, compression), LIMITS), PIXELS)
