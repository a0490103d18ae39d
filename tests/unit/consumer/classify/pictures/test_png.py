import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from consumer.classify.pictures.decode import PictureLimits, TruncatedImage, decode
from consumer.classify.pictures.png import LARGEST_PROFILE
from tests import attacks
from tests.unit.consumer.classify import profiles
from tests.unit.consumer.classify.photos import encoded, photo

LIMITS = PictureLimits()
PIXELS = np.asarray(photo())
BOMB = zlib.compress(bytes(100 * 2**20))
RED_AS_BLUE = zlib.compress(profiles.rgb(red=profiles.BLUE, blue=profiles.RED) + bytes(2 * 2**20))


def with_chunk(kind: bytes, content: bytes, image: Image.Image | None = None, checksum: bytes | None = None) -> bytes:
    """A PNG with one more chunk behind its header."""
    data = encoded(image or photo())
    one_more = attacks.chunk(kind, content)
    return data[:33] + (one_more if checksum is None else one_more[:-4] + checksum) + data[33:]


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (b"iCCP", b"name\0\0" + BOMB),
        (b"iCCP", b"name\0\1" + zlib.compress(profiles.rgb())),
        (b"iCCP", b"name\0\0no zlib"),
        (b"iCCP", b"name\0\0" + zlib.compress(profiles.rgb(red=profiles.BLUE))[:-9]),
        (b"iCCP", b""),
        (b"zTXt", b"Comment\0\0" + BOMB),
        (b"zTXt", b"Comment\0\1"),
        (b"iTXt", b"Comment\0\1\0\0\0" + BOMB),
        (b"tRNS", b"\0"),
        (b"gAMA", b"\0"),
        (b"cHRM", b"\0"),
        (b"sRGB", b""),
        (b"pHYs", b"\0"),
        (b"acTL", b"\0"),
        (b"fcTL", bytes(26)),
        (b"fdAT", b"\0"),
        (b"eXIf", b"MM\0*\xff\xff\xff\xff"),
        (b"prVt", b"of a program"),
    ],
)
def test_what_a_png_has_beside_its_pixels_costs_no_picture(kind: bytes, content: bytes) -> None:
    assert np.array_equal(decode(with_chunk(kind, content), LIMITS), PIXELS)
    assert np.array_equal(decode(with_chunk(kind, content, checksum=b"none"), LIMITS), PIXELS)
    behind = encoded(photo())[:-12] + attacks.chunk(kind, content) + attacks.chunk(b"IEND", b"")
    assert np.array_equal(decode(behind, LIMITS), PIXELS)


def test_a_wrong_checksum_drops_what_it_is_of() -> None:
    transparent = struct.pack(">3H", *PIXELS[0, 0])
    assert decode(with_chunk(b"tRNS", transparent), LIMITS)[0, 0].tolist() == [255, 255, 255]
    assert np.array_equal(decode(with_chunk(b"tRNS", transparent, checksum=b"none"), LIMITS), PIXELS)


def test_a_profile_of_more_than_pillow_unpacks_is_read_all_the_same() -> None:
    red = Image.new("RGB", (8, 8), "red")
    assert decode(with_chunk(b"iCCP", b"name\0\0" + RED_AS_BLUE, red), LIMITS)[4, 4].tolist() == [0, 0, 255]
    too_large = zlib.compress(profiles.rgb(red=profiles.BLUE) + bytes(LARGEST_PROFILE))
    assert decode(with_chunk(b"iCCP", b"name\0\0" + too_large, red), LIMITS)[4, 4].tolist() == [255, 0, 0]


def test_of_several_profiles_the_first_counts() -> None:
    red = Image.new("RGB", (8, 8), "red")
    data = with_chunk(b"iCCP", b"name\0\0" + RED_AS_BLUE, red)
    swapped_again = attacks.chunk(b"iCCP", b"name\0\0" + zlib.compress(profiles.rgb()))
    at = data.index(b"IDAT") - 4
    assert decode(data[:at] + swapped_again + data[at:], LIMITS)[4, 4].tolist() == [0, 0, 255]


def test_broken_pixels_of_a_png_are_refused_all_the_same() -> None:
    data = encoded(photo())
    broken_header = data[:29] + b"none" + data[33:]
    for broken in (broken_header, data.replace(b"IDAT", b"ID\0T"), data[:60]):
        with pytest.raises(TruncatedImage):
            decode(broken, LIMITS)


def test_of_an_animated_png_the_default_picture_is_shown() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    for has_default in (False, True):
        data = encoded(frames[0], save_all=True, append_images=frames[1:], default_image=has_default)
        assert b"acTL" in data
        assert decode(data, LIMITS)[4, 4].tolist() == [255, 0, 0]


def test_exif_of_a_png_turns_it() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "a" * 2**21, zip=True)
    assert decode(encoded(photo(), exif=exif, pnginfo=info), LIMITS).shape == (64, 48, 3)


def raw_png(rows: NDArray[np.uint8], width: int, depth: int, colour: int, transparent: bytes) -> bytes:
    """A PNG of any depth; rows as they are packed."""
    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return attacks.png((b"IHDR", header), (b"tRNS", transparent), (b"IDAT", packed))


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_transparent_grey_is_white_at_every_depth(depth: int) -> None:
    black, grey = 0, 1 if depth == 1 else 2 ** (depth - 1)
    bits = f"{black:0{depth}b}{grey:0{depth}b}".ljust(8, "0")
    row = np.frombuffer(int(bits, 2).to_bytes(len(bits) // 8), np.uint8)[None]
    transparent_black, transparent_grey = (
        decode(raw_png(row, 2, depth, 0, level.to_bytes(2)), LIMITS)[0, :, 0] for level in (black, grey)
    )
    assert transparent_black[0] == 255
    assert transparent_grey.tolist() == [0, 255]


def test_a_transparent_colour_of_sixteen_bits_is_white() -> None:
    red, blue = b"\x80\x01\0\0\0\0", b"\0\0\0\0\x80\x01"
    row = np.frombuffer(red + blue, np.uint8)[None]
    assert decode(raw_png(row, 2, 16, 2, red), LIMITS).tolist() == [[[255, 255, 255], [0, 0, 128]]]
