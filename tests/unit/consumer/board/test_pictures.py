import io

import numpy as np
import pytest
from PIL import Image

from consumer.board.pictures import SIDE, small_jpeg
from consumer.classify.pictures.decode import ImageTooLarge, PictureError, PictureLimits, decode
from tests.unit.consumer.classify.photos import encoded


def shown(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(small_jpeg(data)))
    assert image.format == "JPEG"
    return image.convert("RGB")


def test_a_large_picture_becomes_small_and_keeps_its_shape() -> None:
    assert shown(encoded(Image.new("RGB", (3000, 1000), "red"), "JPEG")).size == (SIDE, SIDE // 3)


def test_a_small_picture_stays_as_large_as_it_is() -> None:
    assert shown(encoded(Image.new("L", (30, 20), 128))).size == (30, 20)


def test_what_is_transparent_is_white() -> None:
    red, green, blue = shown(encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0)))).getpixel((4, 4))  # type: ignore[misc]
    assert min(red, green, blue) > 250


def test_a_turned_picture_is_upright_and_loses_what_the_camera_wrote() -> None:
    camera = Image.Exif()
    camera[0x0112] = 6  # turned by a quarter
    camera[0x010F] = "SECRET CAMERA"
    data = encoded(Image.new("RGB", (40, 20), "blue"), "JPEG", exif=camera, comment=b"SECRET COMMENT")
    assert shown(data).size == (20, 40)
    assert b"SECRET" not in small_jpeg(data)


@pytest.mark.parametrize("mode", ["1", "P", "CMYK", "I;16", "F", "LA"])
def test_every_kind_of_pixels_can_be_shown(mode: str) -> None:
    assert shown(encoded(Image.new(mode, (8, 8)), "TIFF")).size == (8, 8)


def test_deep_greyscale_is_not_all_white() -> None:
    deep = np.full((16, 16), 1_000, np.uint16)
    deep[:, :8] = 60_000
    picture = shown(encoded(Image.fromarray(deep))).convert("L")
    assert picture.getpixel((12, 8)) == pytest.approx(1_000 >> 8, abs=5)
    assert picture.getpixel((3, 8)) == pytest.approx(60_000 >> 8, abs=5)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n",
        encoded(Image.effect_noise((64, 64), 90), "JPEG")[:-900],
    ],
    ids=["nothing", "SVG", "EPS", "truncated"],
)
def test_what_is_no_whole_raster_picture_is_not_shown(data: bytes) -> None:
    with pytest.raises(PictureError):
        small_jpeg(data)


def test_what_is_too_large_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(Image.Image, "load", decode)
    with pytest.raises(PictureError, match="pixels"):
        small_jpeg(b"P6 18000 18000 255\n")  # the header of a PPM alone


@pytest.mark.slow
def test_what_a_worker_with_raised_limits_has_labelled_is_shown() -> None:
    data = encoded(Image.new("1", (8_000, 7_000)))
    with pytest.raises(ImageTooLarge):
        decode(data, PictureLimits())
    assert shown(data).size == (SIDE, SIDE * 7 // 8)
