from collections.abc import Callable

import pytest

from consumer.classify.pictures.decode import ImageTooLarge, PictureLimits, TruncatedImage, decode
from consumer.classify.pictures.structure import GIF_BLOCKS, JPEG_SCANS, JPEG_SEGMENTS, PNG_CHUNKS, TIFF_TAGS
from producer.photographs import PHOTOGRAPHS
from tests import attacks
from tests.unit.consumer.classify.photos import encoded, photo

LIMITS = PictureLimits()


@pytest.mark.parametrize(
    ("of_parts", "most", "own"),
    [
        (lambda parts: attacks.jpeg_of_many_scans(parts, 16), JPEG_SCANS, 6),
        (attacks.jpeg_of_many_segments, JPEG_SEGMENTS, 4),
        (attacks.png_of_many_chunks, PNG_CHUNKS, 2),
        (attacks.gif_of_a_long_comment, GIF_BLOCKS, 0),
        (attacks.tiff_of_many_tags, TIFF_TAGS, 0),
    ],
    ids=["scans", "segments", "chunks", "blocks", "tags"],
)
def test_a_picture_of_more_parts_than_any_program_writes_is_too_large(
    of_parts: Callable[[int], bytes], most: int, own: int
) -> None:
    """own: parts that the picture has besides those that are asked for."""
    assert decode(of_parts(most - own), LIMITS).ndim == 3
    with pytest.raises(ImageTooLarge, match=f"^more than {most:,} "):
        decode(of_parts(most - own + 1), LIMITS)


def test_a_side_longer_than_allowed_is_too_large() -> None:
    assert decode(attacks.tall_png(30_000), LIMITS).ndim == 3
    with pytest.raises(ImageTooLarge, match="^1 x 30001 pixels; a side may have 30000$"):
        decode(attacks.tall_png(30_001), LIMITS)


def test_what_a_telephone_puts_behind_a_picture_is_no_part_of_it() -> None:
    film = b"\xff\xda\x00\xff\xe1" * 10_000
    assert decode(encoded(photo(), "JPEG", progressive=True) + film, LIMITS).shape == (48, 64, 3)


def test_photographs_pass() -> None:
    for photograph in PHOTOGRAPHS:
        assert decode(photograph.path().read_bytes(), LIMITS).shape[2] == 3


def test_a_directory_further_away_than_any_file_reaches_is_no_failure_of_ours() -> None:
    with pytest.raises(TruncatedImage, match="16 bytes of a TIFF that is broken or ends early"):
        decode(b"II+\x00\x08\x00\x00\x00" + b"\xff" * 7 + b"\x80", LIMITS)
