import json

import pytest

from consumer.dead_letter import ATTEMPTS, DeadLetter, LeftOut, to_record
from consumer.dead_letters.letter import Letter, printable
from consumer.origin import Origin
from tests.unit.consumer.dead_letters.letters import dead
from tests.unit.consumer.label.records import Record


def test_a_letter_says_where_its_post_lay_and_what_was_wrong() -> None:
    letter = Letter.of(dead())

    assert (letter.post_id, letter.coordinates, letter.stage, letter.reason) == (
        "17",
        "posts/3/4711",
        "decode",
        "truncated_image",
    )
    assert (letter.error, letter.message, letter.attempts) == ("SomeError", "why", 1)
    assert letter.names == {"17", "posts/3/4711"}


def test_a_letter_says_where_the_record_lies_that_died_and_what_it_does_without() -> None:
    original = Record("posts", 3, 4711, b"17", b"x" * 100, [])
    left_out = DeadLetter.without(LeftOut("record_too_large", "why", 100, "ab"))
    letter = Letter.of(Record("posts-dlt", 3, 0, *to_record(original, left_out, "a/group", "id")))

    assert (letter.key, letter.source, letter.source_topic_id) == (
        b"17",
        Origin("a/group", "posts", 3, 4711),
        "id",
    )
    assert letter.left_out == {"value_bytes": "100", "value_sha256": "ab"}
    assert Letter.of(dead()).left_out == {}


def test_a_source_that_is_none_is_unknown() -> None:
    record = dead()
    record.headers.append(("placestream-source", b"\xff"))

    assert Letter.of(record).source is None


def test_a_record_of_another_program_is_a_letter_that_says_nothing() -> None:
    letter = Letter.of(Record("posts-dlt", 0, 0, None, None, [("x", None)], timestamp=-1))

    assert (letter.post_id, letter.topic, letter.reason, letter.coordinates) == (None, None, None, "–")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (json.dumps({"post_id": "from the value"}).encode(), "from the value"),
        (b'{"post_id": 5}', "5"),
        (b'{"post_id": 1480879485913200243}', None),
        (b'\0\0\0\0\x07\n{"payload": {"postId": "17"}, "schema": null}', "17"),
        (b"{}", None),
        (b"{broken", None),
        (b"{" * 100_000, None),
        (b'{"post_id": "17", "x": [' + b"[]," * 100_000 + b"0]}", None),
        (b"\xff\xd8", None),
        (None, None),
    ],
)
def test_without_a_key_the_id_is_the_json_form_s(value: bytes | None, expected: str | None) -> None:
    assert Letter.of(dead(key=None, value=value)).post_id == expected


@pytest.mark.parametrize("number", [b"\xb2", b"-1", b"three", b"", b"9" * 5000, None])
def test_a_partition_that_is_no_number_is_unknown(number: bytes | None) -> None:
    record = dead()
    record.headers.append(("__connect.errors.partition", number))

    assert Letter.of(record).coordinates == "posts/–/4711"


def test_attempts_are_those_of_the_header() -> None:
    record = dead()
    record.headers.append((ATTEMPTS, b"2"))

    assert Letter.of(record).attempts == 2


def test_what_a_terminal_would_act_on_is_escaped_and_emoji_are_not() -> None:
    assert printable("a\x1b[2J\n\x9b\u2028👩‍👧 ü") == "a\\x1b[2J\\n\\x9b\\u2028👩‍👧 ü"
