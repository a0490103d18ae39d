import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from consumer.classify.pictures.decode import PictureLimits, TruncatedImage, decode
from consumer.classify.pictures.rows import MIN_DECODED
from consumer.classify.pictures.structure import jpeg_scans
from tests import attacks
from tests.unit.consumer.classify.photos import encoded, photo

LIMITS = PictureLimits()
HEIGHT = 480


def picture(picture_format: str, mode: str = "RGB", **options: Any) -> bytes:
    return encoded(photo(320, HEIGHT).convert(mode), picture_format, **options)


def scans_of(jpeg: bytes) -> list[int]:
    """Where the scans begin."""
    return [at for at in range(len(jpeg)) if jpeg.startswith(b"\xff\xda", at)]


@pytest.mark.parametrize("missing", [1, 2])
@pytest.mark.parametrize(
    "data",
    [
        picture("JPEG"),
        picture("JPEG", progressive=True),
        picture("JPEG", "L"),
        picture("JPEG", "CMYK"),
        picture("JPEG", subsampling=0),
        picture("JPEG", restart_marker_rows=1),
    ],
    ids=["sequential", "progressive", "grey", "cmyk", "4:4:4", "restarts"],
)
def test_a_jpeg_without_its_end_mark_is_whole(data: bytes, missing: int) -> None:
    assert np.array_equal(decode(data[:-missing], LIMITS), decode(data, LIMITS))


@pytest.mark.parametrize("missing", [1, 4, 12, 16])
@pytest.mark.parametrize("interlaced", [False, True])
def test_a_png_without_its_end_is_whole(missing: int, interlaced: bool) -> None:
    data = interlaced_png() if interlaced else picture("PNG")
    assert np.array_equal(decode(data[:-missing], LIMITS), decode(data, LIMITS))


@pytest.mark.parametrize(
    ("picture_format", "mode"),
    [("JPEG", mode) for mode in ("RGB", "L", "CMYK")]
    + [("PNG", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")],
)
def test_a_picture_cut_within_its_last_rows_is_the_rows_that_are_there(picture_format: str, mode: str) -> None:
    data = picture(picture_format, mode)
    cut, whole = decode(data[: int(0.97 * len(data))], LIMITS), decode(data, LIMITS)
    assert MIN_DECODED * HEIGHT <= len(cut) < HEIGHT
    assert np.array_equal(cut, whole[: len(cut)])


def test_black_rows_at_the_bottom_are_rows_all_the_same() -> None:
    image = photo(320, HEIGHT)
    image.paste("black", (0, HEIGHT // 2, 320, HEIGHT))
    for picture_format, missing in (("JPEG", 2), ("PNG", 18)):  # of the PNG the packed rows' checksum too
        data = encoded(image, picture_format)[:-missing]
        assert len(decode(data, LIMITS)) > 0.95 * HEIGHT


@pytest.mark.parametrize("picture_format", ["JPEG", "PNG"])
def test_of_a_picture_of_fewer_rows_the_share_is_said(picture_format: str) -> None:
    data = picture(picture_format)
    with pytest.raises(TruncatedImage) as caught:
        decode(data[: int(0.7 * len(data))], LIMITS)
    said = str(caught.value)
    rows = int(said.split(" rows")[0].split()[-3])
    share = int(rows / 4.8)
    assert said == (
        f"a {picture_format} that is broken or ends early: {rows} of 480 rows are whole, {share}%; 90% must be"
    )
    assert 0.5 < rows / HEIGHT < 0.8


@pytest.mark.parametrize("missing", [3, 10, 300])
def test_a_progressive_jpeg_that_lacks_more_than_its_end_mark_is_truncated(missing: int) -> None:
    with pytest.raises(TruncatedImage, match=r"ends early: 0 of 480 rows"):
        decode(picture("JPEG", progressive=True)[:-missing], LIMITS)


def test_a_progressive_jpeg_that_ends_between_two_scans_is_truncated() -> None:
    data = picture("JPEG", progressive=True)
    last = scans_of(data)[-1]
    tables = data.rindex(b"\xff\xc4", 0, last)  # of the last scan
    assert jpeg_scans(data)[1]
    for at in (last, tables):
        assert not jpeg_scans(data[:at])[1]
        with pytest.raises(TruncatedImage, match=r"ends early: 0 of 480 rows"):
            decode(data[:at], LIMITS)


def test_of_an_interlaced_png_no_row_is_sure() -> None:
    data = interlaced_png()
    with pytest.raises(TruncatedImage, match=r"ends early: 0 of 480 rows"):
        decode(data[: int(0.97 * len(data))], LIMITS)


def test_pillow_itself_goes_on_refusing_what_ends_early() -> None:
    data = picture("JPEG")[:-200]
    decode(data, LIMITS)
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    with pytest.raises(OSError, match="truncated"):
        Image.open(io.BytesIO(data)).load()


def interlaced_png() -> bytes:
    """In seven passes; Pillow reads such PNGs and writes none."""
    levels = np.asarray(photo(320, HEIGHT))
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = [row for top, left, down, right in passes for row in levels[top::down, left::right]]
    return attacks.png(
        (b"IHDR", struct.pack(">IIBBBBB", 320, HEIGHT, 8, 2, 0, 0, 1)),
        (b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))),
    )
