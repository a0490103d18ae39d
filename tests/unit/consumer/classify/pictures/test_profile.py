import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from consumer.classify.pictures import profile as module
from consumer.classify.pictures.decode import PictureLimits, decode
from consumer.classify.pictures.levels import levels, plain_jpeg
from consumer.classify.pictures.profile import to_srgb
from tests.unit.consumer.classify import profiles
from tests.unit.consumer.classify.photos import encoded, photo

LIMITS = PictureLimits()
SWAPPED = profiles.rgb(red=profiles.BLUE, blue=profiles.RED)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def colour(image: Image.Image, profile: bytes, picture_format: str = "PNG", **options: Any) -> list[int]:
    found: list[int] = decode(encoded(image, picture_format, icc_profile=profile, **options), LIMITS)[8, 8].tolist()
    return found


@pytest.mark.parametrize("picture_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_the_colours_of_a_profile_are_shown_in_srgb(picture_format: str) -> None:
    red, green, blue = colour(Image.new("RGB", (16, 16), "red"), SWAPPED, picture_format)
    assert blue > 245
    assert max(red, green) < 10


@pytest.mark.parametrize("picture_format", ["JPEG", "PNG"])
def test_a_profile_that_is_a_table_is_applied_as_one_of_primaries(picture_format: str) -> None:
    for table, primaries in ((profiles.lut(), profiles.rgb()), (profiles.lut(swapped=True), SWAPPED)):
        by_table, by_primaries = (
            decode(encoded(photo(), picture_format, icc_profile=profile), LIMITS).astype(int)
            for profile in (table, primaries)
        )
        apart = np.abs(by_table - by_primaries)  # LittleCMS makes a coarser table of it, which shows where it is dark
        assert apart.mean() < 2
        assert apart.max() < 20
    assert colour(Image.new("RGB", (16, 16), "red"), profiles.lut(swapped=True), "PNG") == [0, 0, 255]


def test_palettes_and_transparent_pictures_have_profiles_too() -> None:
    palette = Image.new("P", (16, 16), 0)
    palette.putpalette([255, 0, 0])
    assert colour(palette, SWAPPED) == [0, 0, 255]
    assert colour(Image.new("RGBA", (16, 16), (255, 0, 0, 255)), SWAPPED) == [0, 0, 255]
    assert colour(Image.new("RGBA", (16, 16), (255, 0, 0, 128)), SWAPPED) == [127, 127, 255]
    assert colour(Image.new("RGBA", (16, 16), (255, 0, 0, 0)), SWAPPED) == [255, 255, 255]


@pytest.mark.parametrize(("mode", "level"), [("L", 100), ("LA", (100, 255)), ("I;16", 100 * 257)])
def test_a_profile_of_grey_is_applied_to_grey(mode: str, level: float | tuple[float, ...]) -> None:
    linear = profiles.grey(1.0)
    assert colour(Image.new(mode, (16, 16), level), linear) == [168] * 3  # 255 (1.055 (100 / 255)^(1 / 2.4) - 0.055)


@pytest.mark.parametrize(
    ("mode", "profile"),
    [
        ("RGB", b""),
        ("RGB", b"no profile"),
        ("RGB", SWAPPED[:200]),
        ("RGB", SWAPPED[:128] + bytes(len(SWAPPED) - 128)),
        ("RGB", SWAPPED.replace(b"RGB ", b"CMYK")),
        ("RGB", SWAPPED.replace(b"RGB ", b"none")),
        ("RGB", profiles.grey(1.0)),
        ("CMYK", SWAPPED),
    ],
)
def test_a_profile_that_is_broken_or_of_another_kind_leaves_the_levels_as_they_are(mode: str, profile: bytes) -> None:
    image = photo().convert(mode)
    assert to_srgb(profile, mode) is None
    plainly = decode(encoded(image, "TIFF"), LIMITS)
    assert np.array_equal(decode(encoded(image, "TIFF", icc_profile=profile), LIMITS), plainly)


@pytest.mark.parametrize("profile", [None, 5, "text", (1, 2)])
def test_what_is_no_profile_at_all_is_none(profile: object) -> None:
    assert to_srgb(profile, "RGB") is None


def test_srgb_itself_changes_no_level() -> None:
    assert to_srgb(SRGB, "RGB") is None
    assert to_srgb(SWAPPED, "RGB") is not None


def test_the_conversion_of_a_usual_profile_is_made_once_and_a_giant_one_is_not_kept() -> None:
    assert to_srgb(SWAPPED, "RGB") is to_srgb(SWAPPED, "RGB")
    giant = SWAPPED + bytes(module.KEPT)
    assert to_srgb(giant, "RGB") is not to_srgb(giant, "RGB")


def test_a_picture_without_a_profile_asks_nothing_of_the_profiles_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*anything: Any) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr(module, "_kept", asked)
    monkeypatch.setattr(module, "_conversion", asked)
    assert decode(encoded(photo(), "JPEG"), LIMITS).shape == (48, 64, 3)


def test_a_large_picture_is_converted_band_by_band(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(photo(), icc_profile=SWAPPED)
    at_once = decode(data, LIMITS)
    monkeypatch.setattr("consumer.classify.pictures.rgb.BAND", 64 * 7)
    assert np.array_equal(decode(data, LIMITS), at_once)


def test_a_turned_picture_keeps_its_profile() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert colour(Image.new("RGB", (16, 16), "red"), SWAPPED, exif=exif) == [0, 0, 255]


def test_nvjpeg_leaves_pictures_with_a_profile_to_pillow() -> None:
    def decoder(data: bytes) -> Any:
        return levels(np.array(Image.open(io.BytesIO(data)).convert("RGB")))

    assert plain_jpeg(encoded(photo(), "JPEG"), LIMITS, decoder) is not None
    assert plain_jpeg(encoded(photo(), "JPEG", icc_profile=SWAPPED), LIMITS, decoder) is None
