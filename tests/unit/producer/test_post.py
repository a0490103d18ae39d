import base64
import json
import random
import unicodedata
from datetime import UTC, datetime
from typing import Any

import pytest

from producer.city import MAX_CITY, city_name
from producer.post import NO_TIME, BadRecord, Headers, Post, format_time, parse_time
from tests import attacks
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


@pytest.mark.parametrize(
    "content_type", [None, b"application/json", b"image/jpeg", b"application/octet-stream", b'"text/plain"']
)
def test_a_brace_means_json_whatever_the_content_type_says(content_type: bytes | None) -> None:
    headers = [] if content_type is None else [("content-type", content_type)]
    assert from_json(headers=headers).post_id == "17"
    with pytest.raises(BadRecord, match="^JSON form: invalid JSON: "):
        binary(CITY, *headers, value=b"{ no json")


def test_a_picture_that_is_called_json_is_named() -> None:
    with pytest.raises(BadRecord) as refused:
        binary(CITY, ("Content-Type", b"Application/JSON; charset=utf-8"))
    assert str(refused.value) == (
        "the content type is JSON, and the value is no JSON object; for a picture's bytes leave it out: it begins with "
        r"b'\xff\xd8\xff\xe0 a p'"
    )


def pretty(**changes: Any) -> str:
    return json.dumps(json.loads(document(**changes)), indent=2)


CONNECT = {"type": "struct", "fields": [{"field": "post_id", "type": "string"}]}
WRITTEN = {
    "Confluent's JSON Schema serialiser": b"\0\0\0\0\x07" + document(),
    "the same of a C# client": b"\0\0\1\x86\xa1\xef\xbb\xbf" + document(),
    "a byte order mark": b"\xef\xbb\xbf" + document(),
    "a line break": b"\r\n\t " + document(),
    "UTF-16": pretty().encode("utf-16"),
    "UTF-16, little-endian": pretty().encode("utf-16-le"),
    "UTF-16, big-endian": pretty().encode("utf-16-be"),
    "UTF-32": pretty().encode("utf-32"),
    "UTF-32, big-endian, with a mark": ("\ufeff" + pretty()).encode("utf-32-be"),
    "UTF-32, little-endian": pretty().encode("utf-32-le"),
    "Kafka Connect": json.dumps({"schema": CONNECT, "payload": json.loads(document())}).encode(),
    "Kafka Connect of a text": json.dumps({"payload": document().decode(), "schema": None}).encode(),
    "serialised twice": json.dumps(document().decode()).encode(),
    "names of Java's": document(post_id=..., postId="17", city=..., City="newyork"),
    "names of SQL's": document(post_id=..., POST_ID="17", image=..., IMAGE=base64.b64encode(PICTURE).decode()),
    "a name twice, the same": document(city=..., City="newyork", CITY="newyork"),
    "another spelling of a field that is there": document(City="paris"),
    "a number as id": document(post_id=17),
}


@pytest.mark.parametrize("value", WRITTEN.values(), ids=WRITTEN.keys())
def test_the_json_form_is_read_as_programs_write_it(value: bytes) -> None:
    post = Post("17", "newyork", PICTURE)
    assert Post.from_record(None, value, None) == Post.from_record(b"17", value, [JSON]) == post


NO_JSON_FORM = {
    b"\0\0\0\0\x07\x02\x31\x37": (
        "the value is of the Confluent serialiser, and its content is no JSON (Avro or Protobuf?); write JSON Schema "
        "or plain JSON: schema id 7"
    ),
    b"[" + document() + b"]": "the value is a JSON list; send each post as a record of its own",
    b"\0\0\0\0\x07 [1]": "the value is a JSON list; send each post as a record of its own",
    b"\x1f\x8b\x08": "the value is packed by gzip; leave that to Kafka (compression.type)",
    b'{"schema": null, "payload": null}': "JSON form: a Connect envelope whose payload is no object: it is null",
    b'{"schema": 1, "payload": [1]}': "JSON form: a Connect envelope whose payload is no object: it is a list",
    b'{"schema": 1, "payload": "/9j/4A"}': "JSON form: must be an object: it is a text",
    b'"{1"': None,
    "{\ud800".encode("utf-16", "surrogatepass"): "JSON form: begins as UTF-16, and is not",
    document(city=..., CITY="London", City="Paris"): (
        "JSON form: city comes in two spellings, which say different things; send one: CITY and City"
    ),
}


@pytest.mark.parametrize(("value", "message"), NO_JSON_FORM.items())
def test_what_is_not_the_json_form_is_named(value: bytes, message: str | None) -> None:
    for headers in ([], [JSON]):
        with pytest.raises(BadRecord) as refused:
            Post.from_record(b"17", value, headers)
        assert message in (None, str(refused.value))
        assert_one_clean_line(str(refused.value))


def test_confluent_s_header_of_a_schema_hurts_no_json_and_tells_of_other_content() -> None:
    schema = ("__value_schema_id", b"\1" + bytes(16))
    assert from_json(headers=[schema]).post_id == "17"
    with pytest.raises(BadRecord, match=r"Avro or Protobuf.*: header __value_schema_id$"):
        binary(schema, value=b"\x02\x31\x37")
    assert binary(schema, CITY).picture == PICTURE


def test_a_picture_that_begins_as_a_frame_does_is_a_picture() -> None:
    assert binary(CITY, value=b"\0\0\0\x1cftypavif").picture == b"\0\0\0\x1cftypavif"


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("City", b"London", "London"),
        ("CITY", b" London\n", "London"),
        ("city", b'"London"', "London"),
        ("city", b'"S\\u00e3o Paulo"', "São Paulo"),
        ("city", b"\xef\xbb\xbfLondon", "London"),
        ("city", "東京".encode("utf-16"), "東京"),
        ("city", "London".encode("utf-16-le"), "London"),
        ("city", "London".encode("utf-16-be"), "London"),
        ("city", b'The "Point"', 'The "Point"'),
    ],
)
def test_a_header_is_read_as_programs_write_it(name: str, value: bytes, read: str) -> None:
    assert binary((name, value)).city == read


@pytest.mark.parametrize("name", ["created-at", "Created-At", "created_at", "createdAt", "CREATED_AT"])
@pytest.mark.parametrize("value", [b"2017-03-29T02:30:13Z", b'"2017-03-29T02:30:13Z"', b"1490754613", b"1490754613000"])
def test_a_header_s_name_may_be_spelled_as_a_language_spells_names(name: str, value: bytes) -> None:
    assert binary(CITY, (name, value)).created_at == datetime(2017, 3, 29, 2, 30, 13, tzinfo=UTC)


def test_a_caption_keeps_its_quotation_marks_and_zero_bytes() -> None:
    assert binary(CITY, ("caption", b'"so it goes"')).caption == '"so it goes"'
    assert binary(CITY, ("caption", b"a\0caption\0")).caption == "a\0caption\0"
    assert binary(CITY, ("Caption", "köprü".encode("utf-16"))).caption == "köprü"


def test_a_header_s_own_name_wins_and_other_spellings_may_not_say_different_things() -> None:
    assert binary(("City", b"paris"), CITY, ("CITY", b"london")).city == "newyork"
    assert binary(("City", b"paris"), ("City", b"london"), ("CITY", b"london")).city == "london"
    with pytest.raises(BadRecord) as refused:
        binary(("City", b"paris"), ("CITY", b"london"))
    assert str(refused.value) == (
        "header city comes in two spellings, which say different things; send one: City and CITY"
    )


def test_what_spring_cloud_stream_says_of_every_value_is_no_content_type() -> None:
    assert binary(CITY, ("contentType", b'"application/json"')).picture == PICTURE


def test_a_missing_city_is_named_with_what_is_there() -> None:
    with pytest.raises(BadRecord) as refused:
        binary(("caption", b"x"), ("place\n", b"y"), ("town", b"london"))
    assert str(refused.value) == r"header city is missing: there are 'place\n', 'town'"
    assert refused.value.kind == "header city is missing"


NUMBER = (17).to_bytes(8, "big")
WRAPPED = {
    b'"17"': "JSON text, in quotation marks",
    b"\xef\xbb\xbf17": "text with a byte order mark",
    "17".encode("utf-16"): "text with a byte order mark",
    b'\0\0\0\0\x07"17"': "of the Confluent serialiser",
    b'{"schema":{"type":"string"},"payload":"17"}': "Kafka Connect's envelope",
    b'{"schema":{"type":"int64"},"payload":17}': "Kafka Connect's envelope",
    NUMBER: "no text (a number of 8 bytes?)",
    NUMBER[4:]: "no text (a number of 4 bytes?)",
}


@pytest.mark.parametrize(("key", "what"), WRAPPED.items())
def test_a_key_that_a_serialiser_has_made_is_named_unless_the_json_form_says_the_same(key: bytes, what: str) -> None:
    with pytest.raises(BadRecord) as refused:
        binary(CITY, key=key)
    assert str(refused.value) == f"the key is {what}; it must be the post_id as plain text: {key[:40]!r}"
    assert from_json(key=key).post_id == "17"
    with pytest.raises(BadRecord, match="^the key differs from post_id: "):
        from_json(key=key, post_id="18")


@pytest.mark.parametrize("post_id", [1480879485913200243, 0x2F01020304050607, 0x2F2F2F2FFF2F2F2F])
def test_an_id_in_8_bytes_is_a_number_whatever_they_are_as_text(post_id: int) -> None:
    key = post_id.to_bytes(8, "big")
    with pytest.raises(BadRecord, match="^the key is no text .a number of 8 bytes.*; "):
        binary(CITY, key=key)
    assert from_json(key=key, post_id=str(post_id)).post_id == str(post_id)


def test_a_key_that_is_an_object_is_named() -> None:
    with pytest.raises(BadRecord, match="^the key is a JSON object; "):
        binary(CITY, key=b'{"id": 17}')
    with pytest.raises(BadRecord, match="^the key differs from post_id: "):
        from_json(key=b'{"id": 17}')


@pytest.mark.parametrize("key", ["17\n", " a b ", "1234567\n", "ab-1", '"', "7'6\"", "🌉", "12345678", "straße", "{1"])
def test_any_other_key_is_the_id_as_it_stands(key: str) -> None:
    assert binary(CITY, key=key.encode()).post_id == key == from_json(key=key.encode(), post_id=key).post_id


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
        (b"\xff", PICTURE, [CITY], r"the key is not UTF-8; it must be the post_id as plain text: b'\xff'"),
        (b"17", None, [CITY], "the value is null; it must be the picture's bytes or the JSON form"),
        (b"17", b"", [CITY], "the value is empty; it must be the picture's bytes or the JSON form"),
        (b"17", None, [JSON], "the value is null; it must be the picture's bytes or the JSON form"),
        (b"17", PICTURE, [], "header city is missing"),
        (b"17", PICTURE, None, "header city is missing"),
        (b"17", PICTURE, [("city", b" ")], "city is blank"),
        (b"17", PICTURE, [("city", b"\xff")], r"header city is not UTF-8: b'\xff'"),
        (b"17", PICTURE, [("city", None)], "header city is null"),
        (b"17", PICTURE, [CITY, ("caption", None)], "header caption is null"),
        (b"17", PICTURE, [("city", b"new\nyork")], "city has control characters"),
        (b"17", PICTURE, [CITY, ("content-type", b"\xff")], r"header content-type is not UTF-8: b'\xff'"),
        (b"17", PICTURE, [CITY, ("created-at", b"\xff")], r"header created-at is not UTF-8: b'\xff'"),
        (b"17", PICTURE, [CITY, ("created-at", b"")], f"header created-at {NO_TIME}: ''"),
        (b"17", PICTURE, [CITY, ("created-at", b"149075461")], f"header created-at {NO_TIME}: '149075461'"),
        (b"17", PICTURE, [CITY, ("created-at", b"[" * 100_000 + b'"')], None),
        (b"17", PICTURE, [CITY, ("created-at", b'"' + b"[" * 100_000 + b'"')], None),
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
        ({"post_id": ...}, "JSON form: post_id is missing"),
        ({"post_id": None}, "JSON form: post_id must be text"),
        ({"post_id": True}, "JSON form: post_id must be text"),
        ({"post_id": " "}, "JSON form: post_id is blank"),
        ({"post_id": -17}, "JSON form: post_id is a negative number; write it as text"),
        ({"post_id": 2**53}, None),
        ({"post_id": 1.5e18}, "JSON form: post_id is a number with a fraction or an exponent; write it as text"),
        (
            {"post_id": 1480879485913200243},
            "JSON form: post_id is a number of 2^53 or more, which many programs round; write it as text",
        ),
        ({"city": ...}, "JSON form: city is missing"),
        ({"city": ""}, "JSON form: city is blank"),
        ({"city": "a\tb"}, "JSON form: city has control characters"),
        ({"city": "x" * 101}, "JSON form: city has more than 100 characters: 101"),
        ({"caption": 5}, "JSON form: caption must be text"),
        ({"created_at": 149075461}, f"JSON form: created_at {NO_TIME}: '149075461'"),
        ({"created_at": [1]}, f"JSON form: created_at {NO_TIME}"),
        ({"created_at": True}, f"JSON form: created_at {NO_TIME}"),
        ({"created_at": "\x1b[31m"}, rf"JSON form: created_at {NO_TIME}: '\x1b[31m'"),
        ({"image": ...}, "JSON form: image is missing"),
        ({"image": None}, "JSON form: image must be base64 text: it is null"),
        ({"image": {"type": "Buffer", "data": [255]}}, "JSON form: image must be base64 text: it is an object"),
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
    monkeypatch.setattr("producer.serialised.from_json", lambda value: pytest.fail("it is parsed"))

    with pytest.raises(BadRecord, match="more than 100000 brackets and commas"):
        Post.from_record(None, b'{"x":[' + part * 200_000 + b"0]}", [])


def test_a_caption_of_nothing_but_commas_is_no_bomb() -> None:
    value = json.dumps({"post_id": "1", "city": "x", "image": "eA==", "caption": "," * 63_206}).encode()
    assert Post.from_record(None, value, []).caption == "," * 63_206


def test_json_that_is_no_object_is_refused() -> None:
    with pytest.raises(BadRecord, match="^the value is a JSON list; send each post as a record of its own$"):
        Post.from_record(b"17", b"[1]", [JSON])


def test_the_json_form_may_lack_a_key_but_not_differ_from_it() -> None:
    assert from_json(key=None).post_id == "17"
    assert from_json(key=b"17").post_id == "17"
    with pytest.raises(BadRecord, match="^the key differs from post_id: b'18' and '17'$"):
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
        ("1490754613", "2017-03-29T02:30:13.000Z"),
        ("1490754613.147", "2017-03-29T02:30:13.147Z"),
        ("1490754613147", "2017-03-29T02:30:13.147Z"),
        ("1490754613147000", "2017-03-29T02:30:13.147Z"),
    ],
)
def test_a_time_is_read_in_utc(text: str, utc: str) -> None:
    assert format_time(parse_time(text)) == utc
    read = binary(CITY, ("created-at", text.encode())).created_at
    assert read is not None
    assert format_time(read) == utc
    assert from_json(created_at=text).created_at == read
    if text.isdigit():
        assert from_json(created_at=int(text)).created_at == read == from_json(created_at=float(text)).created_at


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "149075461",
        "14907546130",
        "1490754613.1.4",
        "2017-13-01",
        "0001-01-01T00:00:00+01:00",
        "2017-03-29T25:00",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # its message is Python's
        parse_time(text)
    with pytest.raises(BadRecord, match="^header created-at is no ISO 8601 time; "):
        binary(CITY, ("created-at", text.encode()))
    with pytest.raises(BadRecord, match="^JSON form: created_at is no ISO 8601 time; "):
        from_json(created_at=text)


@pytest.mark.slow
def test_whatever_comes_is_read_or_named_by_one_of_few_kinds() -> None:
    chance, errors, read = random.Random(24), [], 0
    for _ in range(20_000):
        try:
            Post.from_record(*attacks.damaged(chance, PICTURE))
            read += 1
        except BadRecord as error:
            errors.append(error)
    assert read > 5_000
    assert 20 < len({error.kind for error in errors}) < 60, "a kind repeats nothing that a sender wrote"
    for message in map(str, errors):
        assert len(message) < 400
        assert_one_clean_line(message)


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
