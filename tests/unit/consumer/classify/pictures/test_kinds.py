import base64
import struct

import pytest

from consumer.classify.pictures.decode import ImageTooLarge, NotAnImage, PictureLimits, TruncatedImage, decode
from consumer.classify.pictures.kinds import kind_of
from producer.pictures import FORMATS
from tests import attacks
from tests.unit.consumer.classify.photos import encoded, photo

LIMITS = PictureLimits()
ALL = "JPEG, PNG, WEBP, GIF, BMP, TIFF, PPM or AVIF"


def avif(width: int, height: int) -> bytes:
    """Its header says so; there are fewer pixels."""
    data = bytearray(encoded(photo(), "AVIF"))
    at = data.index(b"ispe") + 8
    data[at : at + 8] = struct.pack(">II", width, height)
    return bytes(data)


def ftyp(*brands: bytes) -> bytes:
    return struct.pack(">I", 12 + 4 * len(brands)) + b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:]) + bytes(50)


@pytest.mark.parametrize("picture_format", FORMATS)
def test_what_is_read_is_known_by_its_first_bytes(picture_format: str) -> None:
    assert kind_of(encoded(photo(), picture_format)) == picture_format


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (ftyp(b"heic", b"mif1", b"heic"), "HEIC"),
        (ftyp(b"heix", b"mif1"), "HEIC"),
        (ftyp(b"mif1", b"mif1", b"heic"), "HEIC"),
        (ftyp(b"msf1", b"hevc"), "HEIC"),
        (b"\xff\x0a" + bytes(50), "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(50), "JPEG XL"),
        (encoded(photo(), "JPEG2000"), "JPEG 2000"),
        (encoded(photo(), "JPEG2000", no_jp2=True), "JPEG 2000"),
        (encoded(photo(), "ICO"), "an icon"),
        (b"8BPS\0\1" + bytes(50), "Photoshop"),
        (b"%PDF-1.7\n", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><svg/>', "SVG or XML"),
        (b'\n<SVG xmlns="http://www.w3.org/2000/svg"/>', "SVG or XML"),
        (b"\n<!DOCTYPE HTML><html>", "a web page"),
        (base64.b64encode(encoded(photo(), "JPEG")), "a picture in base64"),
        (base64.b64encode(encoded(photo(), "PNG")), "a picture in base64"),
        (b"data:image/png;base64,iVBORw0KGgo=", "a picture in base64"),
        (encoded(photo(), "JPEG").hex().upper().encode(), "a picture in hexadecimal"),
        (b"https://example.org/1.jpg", "a URL (nothing is downloaded)"),
        (ftyp(b"isom", b"mp42"), "a film"),
        (b"\x1a\x45\xdf\xa3" + bytes(50), "a film"),
    ],
)
def test_what_is_not_read_is_named(data: bytes, kind: str) -> None:
    with pytest.raises(NotAnImage) as caught:
        decode(data, LIMITS)
    assert str(caught.value) == f"{len(data)} bytes of {kind}, which is not read: send {ALL}"


@pytest.mark.parametrize("data", [b"BMW is a car of many kinds", b"P5 is a vitamin", b"MM, nice", b"hello"])
def test_text_is_no_picture(data: bytes) -> None:
    assert kind_of(data) is None
    with pytest.raises(NotAnImage, match=f"^{len(data)} bytes that are no {ALL}$"):
        decode(data, LIMITS)


def bmp_of(bits: int, compression: int) -> bytes:
    data = bytearray(encoded(photo(), "BMP"))
    data[28:30], data[30:34] = struct.pack("<H", bits), struct.pack("<I", compression)
    return bytes(data)


def tiff_of(tag: int, value: int) -> bytes:
    """A TIFF of one pixel, one tag of which has a value that it has not."""
    data = bytearray(attacks.tiff_of_many_tags(9))
    at = next(at for at in range(14, len(data), 12) if data[at : at + 2] == struct.pack("<H", tag))
    data[at + 8 : at + 12] = struct.pack("<I", value)
    return bytes(data)


def jpeg_of_twelve_bits() -> bytes:
    data = bytearray(encoded(photo(), "JPEG"))
    data[data.index(b"\xff\xc0") + 4] = 12
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (bmp_of(24, 7), r"a BMP of a kind that is not read: Unsupported BMP compression \(7\)"),
        (bmp_of(23, 0), r"a BMP of a kind that is not read: Unsupported BMP pixel depth \(23\)"),
        (tiff_of(258, 7), "a TIFF of a kind that is not read: unknown pixel mode"),
        (tiff_of(259, 34_712), "a TIFF of a kind that is not read: unknown 34712"),
        (jpeg_of_twelve_bits(), "a JPEG of a kind that is not read: cannot handle 12-bit layers"),
    ],
    ids=["bmp compression", "bmp depth", "tiff depth", "tiff compression", "jpeg"],
)
def test_a_kind_of_a_format_that_is_not_read_is_named(data: bytes, said: str) -> None:
    with pytest.raises(NotAnImage, match=f"^{said}$"):
        decode(data, LIMITS)


@pytest.mark.parametrize("picture_format", ["BMP", "TIFF", "WEBP"])
def test_a_picture_that_ends_within_its_header_is_truncated_and_named(picture_format: str) -> None:
    data = encoded(photo(), picture_format, **({"compression": "tiff_lzw"} if picture_format == "TIFF" else {}))
    with pytest.raises(TruncatedImage, match=f"^20 bytes of a {picture_format} that is broken or ends early: "):
        decode(data[:20], LIMITS)


def test_a_tiff_whose_directory_is_cut_off_its_end_is_truncated() -> None:
    data = encoded(photo(), "TIFF", compression="tiff_lzw")
    with pytest.raises(TruncatedImage, match="bytes of a TIFF that is broken or ends early: "):
        decode(data[:-100], LIMITS)


@pytest.mark.parametrize("side", [8_000, 17_000, 29_000])
def test_an_avif_of_any_size_above_the_limits_is_too_large(side: int) -> None:
    with pytest.raises(ImageTooLarge, match=f"^{side} x {side} pixels; at most 50000000 are allowed$"):
        decode(avif(side, side), LIMITS)


def test_an_avif_that_ends_early_is_truncated() -> None:
    for size in (16, 100):
        with pytest.raises(TruncatedImage, match=f"^{size} bytes of an AVIF that is broken or ends early: "):
            decode(encoded(photo(), "AVIF")[:size], LIMITS)
