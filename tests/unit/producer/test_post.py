import base64
import json
import unicodedata
from datetime import UTC, datetime
from typing import Any

import pytest

from producer.city import MAX_CITY, city_name
from producer.post import BadRecord, Headers, Post, format_time, parse_time
from tests.labels import golden

PICTURE = b"\xff\xd8\xff\xe0 a picture"
CITY = ("city", b"newyork")
JSON = ("content-type", b"application/json")


def binary(*headers: tuple[str, bytes], key: bytes | None = b"17", value: bytes | None = PICTURE) -> Post:
    return Post.from_record(key, value, list(headers))


def document(**changes: Any) -> bytes:
    whole = {"post_id": "17", "city": "newyork", "image": base64.b64encode(PICTURE).decode()} | changes
    return json.dumps({name: value for name, value in whole.items() if value is not ...}).encode()


def from_json(key: bytes | None = None, headers: Headers | None = None, **changes: Any) -> Post:
    return Post.from_record(key, document(**changes), headers)


def test_the_binary_form_carries_everything() -> None:
    read = binary(
        CITY, ("caption", "köprü 🌉\nsecond line".encode()), ("created-at", b"2017-03-29T02:30:13.147Z"), ("x", b"1")
    )
    assert read == Post(
        "17", "newyork", PICTURE, "köprü 🌉\nsecond line", datetime(2017, 3, 29, 2, 30, 13, 147000, UTC)
    )


def test_the_json_form_carries_everything() -> None:
    read = from_json(caption="köprü 🌉", created_at="2017-03-29T02:30:13.147Z", more=1)
    assert read == Post("17", "newyork", PICTURE, "köprü 🌉", datetime(2017, 3, 29, 2, 30, 13, 147000, UTC))


def test_what_a_post_writes_it_reads() -> None:
    post = Post("1480879485913200243", "são paulo", PICTURE, "a\nb", datetime(2017, 3, 29, tzinfo=UTC))
    assert Post.from_record(*post.to_record()) == post
    bare = Post("17", "x", b"no known signature")
    assert Post.from_record(*bare.to_record()) == bare
    assert [name for name, _ in bare.to_record()[2]] == ["city"]


@pytest.mark.parametrize(
    ("picture", "content_type"),
    [
        (b"\xff\xd8\xff\xe0", b"image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", b"image/png"),
        (b"GIF89a", b"image/gif"),
        (b"BM..", b"image/bmp"),
        (b"RIFF....WEBP", b"image/webp"),
    ],
)
def test_the_content_type_comes_from_the_bytes(picture: bytes, content_type: bytes) -> None:
    assert ("content-type", content_type) in Post("17", "x", picture).to_record()[2]


def test_a_picture_that_starts_like_json_is_still_a_picture_when_its_type_says_so() -> None:
    assert binary(CITY, ("content-type", b"image/jpeg"), value=b"{ no json").picture == b"{ no json"


def test_without_a_content_type_a_brace_means_json() -> None:
    assert from_json().post_id == "17"
    with pytest.raises(BadRecord, match="^JSON form: Invalid JSON"):
        binary(CITY, value=b"{ no json")
    assert binary(CITY, value=b" {").picture == b" {"


@pytest.mark.parametrize("content_type", [b"application/json", b"Application/JSON; charset=utf-8"])
def test_the_content_type_json_means_json(content_type: bytes) -> None:
    assert Post.from_record(None, b" " + document(), [("content-type", content_type)]).post_id == "17"
    with pytest.raises(BadRecord, match="^JSON form: Invalid JSON"):
        binary(CITY, ("content-type", content_type))


@pytest.mark.parametrize("caption", [b"", b" \n\t ", "\u00a0".encode()])
def test_a_blank_caption_is_no_caption(caption: bytes) -> None:
    assert binary(CITY, ("caption", caption)).caption is None
    assert from_json(caption=caption.decode()).caption is None


def test_a_missing_caption_is_no_caption() -> None:
    assert binary(CITY).caption is None
    assert from_json().caption is None
    assert from_json(caption=None).caption is None


def test_a_caption_that_is_not_utf_8_is_read_with_replacements() -> None:
    assert binary(CITY, ("caption", b"caf\xe9")).caption == "caf\ufffd"


def test_the_last_of_a_repeated_header_wins() -> None:
    read = binary(CITY, ("caption", b"first"), ("city", b"london"), ("caption", b"last"))
    assert (read.city, read.caption) == ("london", "last")


def test_headers_of_others_are_not_looked_at() -> None:
    assert binary(CITY, ("traceparent", b"\xff"), ("X-City", b"\xff")).city == "newyork"


@pytest.mark.parametrize(
    ("key", "value", "headers", "message"),
    [
        (None, PICTURE, [CITY], "the key is missing; it must be the post_id"),
        (b"", PICTURE, [CITY], "post_id is blank"),
        (b"\xff", PICTURE, [CITY], "the key is not UTF-8; it must be the post_id"),
        (b"17", None, [CITY], "the value is null; it must be the picture's bytes or the JSON form"),
        (b"17", b"", [CITY], "the value is empty; it must be the picture's bytes or the JSON form"),
        (b"17", None, [JSON], "the value is null; it must be the picture's bytes or the JSON form"),
        (b"17", PICTURE, [], "header city is missing"),
        (b"17", PICTURE, None, "header city is missing"),
        (b"17", PICTURE, [("city", b" ")], "city is blank"),
        (b"17", PICTURE, [("city", b"\xff")], "header city is not UTF-8"),
        (b"17", PICTURE, [("city", None)], "header city is null"),
        (b"17", PICTURE, [CITY, ("caption", None)], "header caption is null"),
        (b"17", PICTURE, [("city", b"new\nyork")], "city has control characters"),
        (b"17", PICTURE, [CITY, ("content-type", b"\xff")], "header content-type is not UTF-8"),
        (b"17", PICTURE, [CITY, ("created-at", b"\xff")], "header created-at is not UTF-8"),
        (b"17", PICTURE, [CITY, ("created-at", b"")], "header created-at is not an ISO 8601 time: ''"),
        (b"17", PICTURE, [CITY, ("created-at", b"1490754613")], None),
        (b"17", PICTURE, [CITY, ("created-at", b"yester\x1b[31mday")], None),
    ],
)
def test_a_broken_binary_record_is_refused_precisely(
    key: bytes | None, value: bytes | None, headers: Any, message: str | None
) -> None:
    with pytest.raises(BadRecord) as refused:
        Post.from_record(key, value, headers)
    assert message is None or str(refused.value) == message
    assert_one_clean_line(str(refused.value))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"post_id": ...}, "JSON form: post_id: Field required"),
        ({"post_id": 17}, "JSON form: post_id: Input should be a valid string"),
        ({"post_id": None}, "JSON form: post_id: Input should be a valid string"),
        ({"post_id": " "}, "JSON form: post_id: post_id is blank"),
        ({"city": ...}, "JSON form: city: Field required"),
        ({"city": ""}, "JSON form: city: city is blank"),
        ({"city": "a\tb"}, "JSON form: city: city has control characters"),
        ({"city": "x" * 101}, "JSON form: city: city has 101 characters; at most 100 are allowed"),
        ({"caption": 5}, "JSON form: caption: Input should be a valid string"),
        ({"created_at": 1490754613}, "JSON form: created_at: must be an ISO 8601 text"),
        ({"created_at": "\x1b[31m"}, r"JSON form: created_at: not an ISO 8601 time: '\x1b[31m'"),
        ({"image": ...}, "JSON form: image: Field required"),
        ({"image": None}, "JSON form: image: must be base64 text"),
        ({"image": ""}, "JSON form: image: Data should have at least 1 byte"),
        ({"image": "%%%"}, "JSON form: image: not base64: Only base64 data is allowed"),
        ({"image": "abc"}, "JSON form: image: not base64: Incorrect padding"),
        ({"image": "Köln"}, None),
    ],
)
def test_a_broken_json_record_is_refused_precisely(changes: dict[str, Any], message: str | None) -> None:
    with pytest.raises(BadRecord) as refused:
        from_json(**changes)
    assert message is None or str(refused.value) == message
    assert_one_clean_line(str(refused.value))


@pytest.mark.parametrize(
    "value", [b"{", b"{" * 100_000, b'{"post_id": "a\nb"}', b'{"\x01": 1}', b'{"a": "\xff"}', b"{}"]
)
def test_what_is_no_json_is_refused_in_one_line(value: bytes) -> None:
    with pytest.raises(BadRecord, match="^JSON form: ") as refused:
        Post.from_record(b"17", value, None)
    assert_one_clean_line(str(refused.value))


@pytest.mark.parametrize("part", [b"[],", b"{},", b"1,", b'"":0,'])
def test_json_of_millions_of_parts_is_refused_before_it_is_parsed(part: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producer.post._JsonPost.model_validate_json", lambda value: pytest.fail("it is parsed"))

    with pytest.raises(BadRecord, match="more than 100000 brackets and commas"):
        Post.from_record(None, b'{"x":[' + part * 200_000 + b"0]}", [])


def test_a_caption_of_nothing_but_commas_is_no_bomb() -> None:
    value = json.dumps({"post_id": "1", "city": "x", "image": "eA==", "caption": "," * 63_206}).encode()
    assert Post.from_record(None, value, []).caption == "," * 63_206


def test_json_that_is_no_object_is_refused() -> None:
    with pytest.raises(BadRecord, match="^JSON form: Input should be an object$"):
        Post.from_record(b"17", b"[1]", [JSON])


def test_the_json_form_may_lack_a_key_but_not_differ_from_it() -> None:
    assert from_json(key=None).post_id == "17"
    assert from_json(key=b"17").post_id == "17"
    with pytest.raises(BadRecord, match="^the key b'18' differs from post_id '17'$"):
        from_json(key=b"18")
    with pytest.raises(BadRecord, match="differs"):
        from_json(key=b"")
    with pytest.raises(BadRecord) as refused:
        from_json(key=b"\xff\x1b[31m", post_id="\x1b[31m")
    assert_one_clean_line(str(refused.value))


@pytest.mark.parametrize("name", ["post_id", "city", "caption"])
def test_half_a_surrogate_pair_is_a_bad_record(name: str) -> None:
    half: dict[str, Any] = {name: "\ud800"}
    whole: dict[str, Any] = {name: "\ud83d\ude00"}
    with pytest.raises(BadRecord, match="^JSON form: "):
        from_json(**half)
    assert from_json(**whole).to_record()


def test_a_caption_with_half_a_surrogate_pair_can_still_be_sent() -> None:
    assert ("caption", b"a?b") in Post("17", "x", PICTURE, "a\ud800b").to_record()[2]


@pytest.mark.parametrize("city", ["x", "x" * MAX_CITY, "são paulo", "東京", "/", ".."])
def test_a_city_may_be_any_text_of_1_to_100_characters(city: str) -> None:
    assert city_name(city) == city
    assert binary(("city", city.encode())).city == city


@pytest.mark.parametrize("city", ["", "  ", "x" * (MAX_CITY + 1), "a\0", "a\x7f", "a\x85b", "a\nb", "\ud800"])
def test_no_other_city_is_let_through(city: str) -> None:
    with pytest.raises(ValueError, match="^city "):
        city_name(city)


@pytest.mark.parametrize(
    ("written", "city"),
    [
        ("sa\u0303o paulo", "são paulo"),
        (" New York ", "New York"),
        ("New \u00a0 York", "New York"),
        ("new york\r\n", "new york"),
        ("\ufeffRome\u200b", "Rome"),
        ("\u200fחיפה", "חיפה"),
        ("a" + "\u0301" * 5 + "x" * 95, "á" + "\u0301" * 4 + "x" * 95),
    ],
)
def test_a_city_has_one_name_however_it_is_written(written: str, city: str) -> None:
    assert city_name(written) == city == city_name(city)
    assert binary(("city", written.encode())).city == city
    assert from_json(city=written).city == city


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2017-03-29T02:30:13.147Z", "2017-03-29T02:30:13.147Z"),
        ("2017-03-29T02:30:13", "2017-03-29T02:30:13.000Z"),
        ("2017-03-29 02:30", "2017-03-29T02:30:00.000Z"),
        ("2017-03-29", "2017-03-29T00:00:00.000Z"),
        (" 2017-03-29T02:30:13+02:00\n", "2017-03-29T00:30:13.000Z"),
        ("2017-03-29T02:30:13.123456-05:30", "2017-03-29T08:00:13.123Z"),
    ],
)
def test_times_without_an_offset_are_utc(text: str, utc: str) -> None:
    assert format_time(parse_time(text)) == utc
    read = binary(CITY, ("created-at", text.encode())).created_at
    assert read is not None
    assert format_time(read) == utc
    assert from_json(created_at=text).created_at == read


@pytest.mark.parametrize(
    "text", ["", "now", "1490754613", "1701010112345", "2017-13-01", "0001-01-01T00:00:00+01:00", "2017-03-29T25:00"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # its message is Python's
        parse_time(text)
    with pytest.raises(BadRecord, match="created-at is not an ISO 8601 time"):
        binary(CITY, ("created-at", text.encode()))
    with pytest.raises(BadRecord, match="created_at: not an ISO 8601 time"):
        from_json(created_at=text)


def golden_post() -> Post:
    picture = base64.b64decode(golden("post_binary")["value"])
    return Post(
        "1480879485913200243",
        "newyork",
        picture,
        "The bridge at dusk 🌉\nsegunda línea #nyc",
        datetime(2017, 3, 29, 2, 30, 13, 147000, UTC),
    )


def test_the_binary_form_on_the_wire_is_the_golden_one() -> None:
    expected = golden("post_binary")
    key, value, headers = golden_post().to_record()
    assert key.decode() == expected["key"]
    assert base64.b64encode(value).decode() == expected["value"]
    assert [[name, content.decode()] for name, content in headers] == expected["headers"]
    assert Post.from_record(key, value, headers) == golden_post()


def test_the_json_form_of_the_golden_file_reads_as_the_same_post() -> None:
    expected = golden("post_json")
    headers = [(name, content.encode()) for name, content in expected["headers"]]
    for key in (None, expected["key"].encode()):
        assert Post.from_record(key, json.dumps(expected["value"]).encode(), headers) == golden_post()


def assert_one_clean_line(message: str) -> None:
    assert message
    assert not any(unicodedata.category(character) == "Cc" for character in message), repr(message)
