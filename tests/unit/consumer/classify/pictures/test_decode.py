import io
import random
import struct
import zlib
from contextlib import suppress
from functools import cache, partial
from typing import Any, Literal

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

from consumer.classify.compute import nvjpeg
from consumer.classify.pictures.decode import (
    MAX_ELONGATION,
    ImageTooLarge,
    NotAnImage,
    PictureError,
    PictureLimits,
    TruncatedImage,
    decode,
)
from consumer.classify.pictures.levels import levels, middle_square, plain_jpeg
from producer.base.errors import CommandError
from producer.photographs import PHOTOGRAPHS
from tests.unit.consumer.classify import profiles
from tests.unit.consumer.classify.photos import encoded, photo, plain

LIMITS = PictureLimits()
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "a description"
    return exif


@pytest.mark.parametrize("picture_format", [*FORMATS, "MPO"])  # telephones write MPO: a JPEG with a second one inside
def test_the_usual_formats_become_rgb(picture_format: str) -> None:
    picture = decode(encoded(photo(), picture_format), LIMITS)
    assert picture.shape == (48, 64, 3)
    assert np.abs(np.asarray(picture, float) - np.asarray(photo(), float)).mean() < 10


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_png_mode_becomes_rgb(mode: str) -> None:
    grey = photo().convert("L")
    image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else photo().convert(mode)
    assert image.mode == mode
    assert decode(encoded(image), LIMITS).shape == (48, 64, 3)


def test_greyscale_keeps_its_levels() -> None:
    grey = photo().convert("L")
    assert np.array_equal(decode(encoded(grey), LIMITS), np.asarray(grey.convert("RGB")))


def test_cmyk_keeps_its_colours() -> None:
    picture = decode(encoded(Image.new("RGB", (16, 16), "red").convert("CMYK"), "JPEG"), LIMITS)
    red, green, blue = picture[8, 8]
    assert red > 200
    assert max(green, blue) < 60


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(file_format: str) -> None:
    levels = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)
    picture = decode(encoded(Image.fromarray(levels), file_format), LIMITS)
    expected = (levels >> 8).astype(int)
    assert np.abs(np.asarray(picture)[..., 0].astype(int) - expected).max() <= 1


@pytest.mark.parametrize("depth", [8, 10, 12, 14, 16])
@pytest.mark.parametrize(
    ("file_format", "stored"), [("PNG", "uint16"), ("TIFF", "uint16"), ("TIFF", "int32"), ("PPM", "int32")]
)
def test_deep_grey_is_scaled_by_the_bits_that_hold_it(file_format: str, stored: str, depth: int) -> None:
    values = np.linspace(0, 2**depth - 1, 256).round().astype(np.dtype(stored)).reshape(16, 16)
    found = decode(encoded(Image.fromarray(values), file_format), LIMITS)[..., 0].astype(int)
    assert np.abs(found.ravel() - np.arange(256)).max() <= 1


def test_deep_grey_of_more_bits_or_below_zero_uses_its_own_scale() -> None:
    for lowest, highest in ((0, 2**24), (-100, 100)):
        values = np.linspace(lowest, highest, 256).round().astype(np.int32).reshape(16, 16)
        found = decode(encoded(Image.fromarray(values), "TIFF"), LIMITS)[..., 0].astype(int)
        assert np.abs(found.ravel() - np.arange(256)).max() <= 1


def test_of_deep_grey_what_is_transparent_is_white_and_says_nothing_of_the_scale() -> None:
    values = np.array([[0, 512, 1023, 65_535]], np.uint16)
    found = decode(encoded(Image.fromarray(values), transparency=65_535), LIMITS)
    assert found[0, :, 0].tolist() == [0, 128, 255, 255]
    assert decode(encoded(Image.fromarray(values[:, :3]), transparency=0), LIMITS)[0, :, 0].tolist() == [255, 128, 255]


def test_levels_without_a_scale_use_their_own() -> None:
    image = Image.fromarray(np.linspace(-2, 2, 256, dtype=np.float32).reshape(16, 16))
    levels = decode(encoded(image, "TIFF"), LIMITS)
    assert levels.min() == 0
    assert levels.max() >= 254


def test_transparency_becomes_white() -> None:
    assert decode(encoded(Image.new("RGBA", (4, 4), (255, 0, 0, 0))), LIMITS)[1, 1].tolist() == [255, 255, 255]
    assert decode(encoded(Image.new("RGBA", (4, 4), (255, 0, 0, 255))), LIMITS)[1, 1].tolist() == [255, 0, 0]
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([255, 0, 0, 0, 255, 0])
    assert decode(encoded(palette, "GIF", transparency=0), LIMITS)[1, 1].tolist() == [255, 255, 255]


def test_exif_rotation_is_applied() -> None:
    assert decode(encoded(photo(64, 48), "JPEG", exif=turned(6)), LIMITS).shape == (64, 48, 3)


def test_broken_exif_does_not_cost_the_picture() -> None:
    data = encoded(photo(), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff garbage")
    assert decode(data, LIMITS).shape == (48, 64, 3)


@cache
def photographs() -> list[Image.Image]:
    return [Image.fromarray(decode(photograph.path().read_bytes(), LIMITS)) for photograph in PHOTOGRAPHS]


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize(
    "size", [None, (300, 300), (300, 225), (225, 300), (97, 130), (1080, 1350), (224, 224), (223, 301), (61, 640)]
)
def test_the_middle_square_equals_torchvisions_of_the_pillow_image(
    size: tuple[int, int] | None, interpolation: Literal["bicubic", "bilinear"]
) -> None:
    plainly = Compose([Resize(224, InterpolationMode(interpolation)), CenterCrop(224)])
    for picture in photographs():
        if size:
            picture = picture.resize(size, Image.Resampling.BICUBIC)
        square = middle_square(levels(np.array(picture)), 224, interpolation)
        assert (square.shape, square.dtype) == ((3, 224, 224), torch.uint8)
        apart = np.abs(square.permute(1, 2, 0).numpy().astype(int) - np.asarray(plainly(picture), int))
        assert apart.max() <= 2
        assert (apart > 1).mean() < 1e-3
        assert apart.mean() < 0.05


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 30}, {"quality": 95}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_every_kind_of_jpeg_gives_the_same_square(options: dict[str, Any], mode: str) -> None:
    picture = decode(encoded(photo(300, 225).convert(mode), "JPEG", **options), LIMITS)
    plainly = Compose([Resize(224, InterpolationMode.BICUBIC), CenterCrop(224)])
    square = middle_square(levels(picture), 224).permute(1, 2, 0).numpy().astype(int)
    assert np.abs(square - np.asarray(plainly(Image.fromarray(picture)), int)).max() <= 2


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (3, 1), (1, 50), (50, 1), (7, 9), (225, 224), (224, 11_200)])
def test_the_smallest_and_longest_pictures_have_a_middle_square(size: tuple[int, int]) -> None:
    square = middle_square(levels(np.array(Image.new("RGB", size, (10, 20, 30)))), 224)
    assert square.is_contiguous()
    assert torch.equal(square, torch.tensor([10, 20, 30], dtype=torch.uint8).reshape(3, 1, 1).expand(3, 224, 224))


def test_one_pixel_is_a_picture() -> None:
    assert decode(plain("blue", size=(1, 1)), LIMITS).tolist() == [[[0, 0, 255]]]


def test_an_animation_shows_its_first_frame() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    for picture_format in ("GIF", "WEBP"):
        options = {"lossless": True} if picture_format == "WEBP" else {}
        data = encoded(frames[0], picture_format, save_all=True, append_images=frames[1:], **options)
        assert decode(data, LIMITS)[4, 4].tolist() == [255, 0, 0]


def test_a_long_strip_is_cut_to_its_middle() -> None:
    strip = Image.new("RGB", (3, 30_000), "white")
    strip.paste("red", (0, 14_000, 3, 16_000))
    picture = decode(encoded(strip), LIMITS)
    assert picture.shape == (3 * MAX_ELONGATION, 3, 3)
    assert picture[75, 1].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"hello, world\n" * 100,
        b'<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"/>',
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n",
        b"%PDF-1.7\n",
        b"\x00" * 1000,
    ],
)
def test_what_has_no_header_of_a_picture_is_not_an_image(data: bytes) -> None:
    with pytest.raises(NotAnImage) as caught:
        decode(data, LIMITS)
    assert caught.value.reason == "not_an_image"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0 and so on", b"GIF89a"])
def test_a_picture_that_ends_within_its_header_is_truncated(data: bytes) -> None:
    with pytest.raises(TruncatedImage):
        decode(data, LIMITS)


@pytest.mark.parametrize("picture_format", FORMATS)
def test_a_picture_cut_in_half_is_truncated(picture_format: str) -> None:
    data = encoded(photo(320, 240), picture_format)
    with pytest.raises(TruncatedImage) as caught:
        decode(data[: len(data) // 2], LIMITS)
    assert caught.value.reason == "truncated_image"


def test_too_many_bytes_are_refused() -> None:
    data = plain("red")
    assert decode(data, PictureLimits(max_bytes=len(data))).shape == (6, 8, 3)
    with pytest.raises(ImageTooLarge) as caught:
        decode(data, PictureLimits(max_bytes=len(data) - 1))
    assert caught.value.reason == "image_too_large"


def test_too_many_pixels_are_refused_before_they_are_decoded() -> None:
    header_only = plain("red", "BMP", (100, 100))[:60]  # there are no pixels to decode
    with pytest.raises(ImageTooLarge):
        decode(header_only, PictureLimits(max_pixels=9_999))
    with pytest.raises(TruncatedImage):
        decode(header_only, PictureLimits(max_pixels=10_000))


@pytest.mark.parametrize("side", [8_000, 12_000, 60_000])
def test_decompression_bombs_are_too_large(side: int) -> None:
    gif = b"GIF89a" + struct.pack("<HH", side, side) + b"\x80\x00\x00" + bytes(6) + b",\x00\x00\x00\x00"
    ihdr = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + ihdr + struct.pack(">I", zlib.crc32(ihdr))
    png += struct.pack(">I", 10) + b"IDAT" + bytes(14)
    for bomb in (gif + struct.pack("<HH", side, side) + b"\x00\x02\x02\x4c\x01\x00;", png):
        with pytest.raises(ImageTooLarge):
            decode(bomb, LIMITS)


@pytest.mark.parametrize("picture_format", FORMATS)
@pytest.mark.filterwarnings("ignore")
def test_no_damage_raises_anything_but_a_picture_error(picture_format: str) -> None:
    rng = random.Random(205)
    described = {"exif": turned(3), "icc_profile": profiles.rgb(red=profiles.BLUE)}
    options = described if picture_format in ("JPEG", "PNG", "WEBP", "TIFF") else {}
    data = encoded(photo(40, 30), picture_format, **options)
    for _ in range(150):
        damaged = bytearray(data[: rng.randrange(len(data))] if rng.random() < 0.4 else data)
        for _ in range(rng.choice([0, 1, 3, 20])):
            if damaged:
                # near the beginning more often: that is where the structure is
                where = min(int(rng.expovariate(8 / len(damaged))), len(damaged) - 1)
                damaged[where] = rng.randrange(256)
        with suppress(PictureError):
            assert decode(bytes(damaged), PictureLimits(max_pixels=100_000)).shape[2] == 3


def fast(data: bytes) -> torch.Tensor:
    """Another decoder: as good as Pillow, and it turns the picture black to show that it was asked."""
    return torch.zeros_like(levels(np.array(Image.open(io.BytesIO(data)).convert("RGB"))))


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_another_decoder_gets_usual_jpegs(mode: str) -> None:
    found = plain_jpeg(encoded(photo().convert(mode), "JPEG"), LIMITS, fast)
    assert found is not None
    assert (tuple(found.shape), int(found.max())) == ((3, 48, 64), 0)


@pytest.mark.parametrize(
    "data",
    [
        encoded(photo(), "PNG"),
        encoded(photo(), "JPEG", progressive=True),
        encoded(photo().convert("CMYK"), "JPEG"),
        encoded(photo(), "JPEG")[:-100],
        encoded(photo(8, 8 * MAX_ELONGATION + 8), "JPEG"),
        encoded(photo(), "JPEG", exif=turned(6)),
        b"\xff\xd8\xff\xe0" + bytes(50) + b"\xff\xd9",
    ],
    ids=["png", "progressive", "cmyk", "truncated", "long", "rotated", "broken"],
)
def test_what_is_not_usual_is_left_to_pillow(data: bytes) -> None:
    assert plain_jpeg(data, LIMITS, fast) is None


def test_the_limits_hold_for_another_decoder_too() -> None:
    data = encoded(photo(), "JPEG")
    assert plain_jpeg(data, PictureLimits(max_bytes=len(data) - 1), fast) is None
    assert plain_jpeg(data, PictureLimits(max_pixels=64 * 48 - 1), fast) is None


def test_what_another_decoder_cannot_do_is_left_to_pillow() -> None:
    def failing(data: bytes) -> torch.Tensor:
        raise RuntimeError("nvjpegDecode failed: 5")

    assert plain_jpeg(encoded(photo(), "JPEG"), LIMITS, failing) is None


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_torchcodec_is_called_as_its_release_wants_and_agrees_with_pillow(mode: str) -> None:
    """On the CPU; on the GPU it is nvJPEG that decodes, see test_cuda.py."""
    from torchcodec.decoders import decode_jpeg  # here: its libraries want a torch with CUDA, on Linux

    data = encoded(photo().convert(mode), "JPEG")
    decoded = plain_jpeg(data, LIMITS, partial(decode_jpeg, mode="RGB", device="cpu"))
    assert decoded is not None
    assert torch.equal(decoded, levels(decode(data, LIMITS)))


def test_a_device_where_nvjpeg_cannot_decode_is_one_line_at_the_start() -> None:
    with pytest.raises(CommandError, match="^JPEG_DECODER nvjpeg cannot decode on DEVICE cuda:99: .+") as caught:
        nvjpeg.decoder("cuda:99")
    assert "\n" not in str(caught.value)
