import base64

import pytest

from producer.base.errors import Wrong
from producer.serialised import encoding_of, picture_of, spelled

PICTURE = b"\xff\xd8\xff\xfe a picture \xfb\xef\xbe."
BASE64 = base64.b64encode(PICTURE).decode()
URL_SAFE = base64.urlsafe_b64encode(PICTURE).decode()


@pytest.mark.parametrize(
    "text",
    [
        BASE64,
        base64.encodebytes(PICTURE).decode(),
        "\r\n".join(BASE64[at : at + 7] for at in range(0, len(BASE64), 7)),
        BASE64.rstrip("="),
        URL_SAFE,
        URL_SAFE.rstrip("="),
        f"data:image/jpeg;base64,{BASE64}",
        f" DATA:image/svg+xml;charset=utf-8;BASE64,{URL_SAFE}\n",
        f"data:;base64,{BASE64}",
    ],
)
def test_base64_is_read_as_programs_write_it(text: str) -> None:
    assert "+" in BASE64
    assert "=" in BASE64
    assert picture_of(text) == PICTURE


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (17, "image must be base64 text: it is a number"),
        ([255, 216], "image must be base64 text: it is a list"),
        ("", "image is empty"),
        (" \n", "image is empty"),
        ("data:image/jpeg;base64,", "image is empty"),
        ("data:image/jpeg,%FF%D8", "image is a data URL that is not base64; write data:image/jpeg;base64,…"),
        ("data:", "image is a data URL that is not base64; write data:image/jpeg;base64,…"),
        (
            " https://example.org/1.jpg",
            "image is a URL; placestream downloads nothing: send the picture itself, as base64",
        ),
        ("s3://bucket/1.jpg", "image is a URL; placestream downloads nothing: send the picture itself, as base64"),
        (PICTURE.hex(), "image is hexadecimal; write base64"),
        ("\\x" + PICTURE.hex().upper(), "image is hexadecimal; write base64"),
        ("0x" + PICTURE.hex(), "image is hexadecimal; write base64"),
        ("%%%", "image is not base64: it has '%'"),
        ("abc\x1b", r"image is not base64: it has '\x1b'"),
        ("Köln", "image is not base64"),
        ("abcde", "image is base64 that lacks its end: 5 characters"),
        ("a-b/", "image is base64 of two alphabets at once (+ / and - _)"),
        ("YQ==YQ==", "image is base64 with padding in its middle (several texts put together?)"),
    ],
)
def test_what_is_no_base64_is_named(value: object, message: str) -> None:
    with pytest.raises(Wrong) as refused:
        picture_of(value)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("created-at", "created-at"),
        ("createdAt", "created-at"),
        ("\ufeffCREATED_AT ", "created-at"),
        ("created at", None),
        ("x-city", None),
        ("City", "city"),
        ("city2", None),
        ("", None),
    ],
)
def test_a_name_is_one_of_ours_whatever_its_case_and_what_joins_its_words(name: str, field: str | None) -> None:
    assert spelled(name, ("city", "created-at")) == field


def test_few_zero_bytes_make_no_utf_16() -> None:
    assert encoding_of(b"a\0caption\0") == "utf-8"
