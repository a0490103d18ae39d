import base64
import hashlib
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import consumer.label
from consumer import dead_letter
from consumer.dead_letter import (
    LEFT_OUT,
    MAX_KEY,
    MAX_MESSAGE,
    REASONS,
    STAGE_OF,
    STAGES,
    DeadLetter,
    LeftOut,
    attempts_of,
    left_out_of,
    short_key,
    to_record,
)
from tests.labels import golden

ADDED = (
    "__connect.errors.topic",
    "__connect.errors.partition",
    "__connect.errors.offset",
    "__connect.errors.stage",
    "__connect.errors.exception.class.name",
    "__connect.errors.exception.message",
    "placestream-reason",
    "placestream-source",
)


def record(
    key: bytes | None = b"17",
    value: bytes | None = b"\xff\xd8",
    headers: Any = (),
    topic: str = "posts",
    offset: int = 7,
) -> Any:
    return SimpleNamespace(topic=topic, partition=3, offset=offset, key=key, value=value, headers=headers)


def dead(reason: str = "truncated_image", message: str = "why") -> DeadLetter:
    return DeadLetter(reason, "SomeError", message)


def written(record: Any, dead: DeadLetter) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]:
    return to_record(record, dead, "placestream")


def added(headers: list[tuple[str, bytes]]) -> dict[str, bytes]:
    return dict(headers[-len(ADDED) :])


@pytest.mark.parametrize("case", ["first", "replayed", "too_large", "rest"])
def test_the_golden_dead_letters_are_written_byte_for_byte(case: str) -> None:
    expected = golden("dead_letter")[case]
    original = expected["record"]
    key, value = original["key"] and original["key"].encode(), base64.b64decode(original["value"])
    headers = [(name, text.encode()) for name, text in original["headers"]]
    if "left_out" in expected:
        letter = DeadLetter.without(LeftOut(**expected["left_out"]))
    else:
        letter = DeadLetter(expected["reason"], expected["error"], expected["message"])

    read = SimpleNamespace(**original | {"key": key, "value": value or None, "headers": headers})

    sent_key, sent_value, sent_headers = to_record(read, letter, "placestream", expected.get("topic_id", ""))

    assert [[name, text.decode()] for name, text in sent_headers] == expected["headers"]
    assert (sent_key, sent_value or b"") == (key, value)


def test_what_is_too_large_is_left_out_and_a_long_key_has_its_hash() -> None:
    read = record(
        b"k" * 5000, b"v" * 3000, [("city", b"london"), ("n", None), ("__connect.errors.offset", b"9" * 5000)]
    )

    left_out = LeftOut.everything(read, "why")
    key, value, headers = written(read, DeadLetter.without(left_out))

    assert (key, value) == (f"sha256:{hashlib.sha256(read.key).hexdigest()}".encode(), None)
    assert key == short_key(read.key) == short_key(key)
    said = dict(headers)
    assert "city" not in said
    assert {field: said[name].decode() for field, name in LEFT_OUT.items() if name in said} == {
        "value_bytes": "3000",
        "value_sha256": hashlib.sha256(read.value).hexdigest(),
        "key_bytes": "5000",
        "header_count": "3",
        "header_bytes": str(4 + 6 + 1 + len("__connect.errors.offset") + 5000),
    }
    assert sum(len(name) + len(text) for name, text in headers) < 4 * MAX_MESSAGE


def test_what_was_left_out_before_is_still_said_when_more_is_left_out() -> None:
    read = record(b"17", b"v" * 3000)
    read.checksum = LeftOut("record_too_large", "headers", header_count=2000, header_bytes=6000)

    left_out = LeftOut.everything(read, "and the value")

    assert (left_out.header_count, left_out.header_bytes, left_out.value_bytes) == (2000, 6000, 3000)
    assert left_out.message == "and the value"


def test_a_key_that_is_not_too_long_is_kept() -> None:
    for key in (None, b"", b"1480879485913200243", b"k" * MAX_KEY):
        read = record(key, b"v")
        assert to_record(read, DeadLetter.without(LeftOut.everything(read, "why")), "placestream")[0] == key


def test_a_replayed_letter_that_is_too_large_now_keeps_its_first_place_and_counts_up() -> None:
    first = written(record(headers=[("city", b"london")]), dead())[2]
    again = record(headers=first, topic="posts", offset=99)

    said = dict(written(again, DeadLetter.without(LeftOut.everything(again, "why")))[2])

    assert (said["__connect.errors.offset"], said["placestream-attempts"]) == (b"7", b"2")
    assert said["placestream-source"] == b"/placestream/placestream/posts/3/99"
    assert "city" not in said


def test_what_was_left_out_before_is_not_said_of_a_letter_that_is_whole_again() -> None:
    without = to_record(record(), DeadLetter.without(LeftOut("record_too_large", "why", 5, "ab")), "placestream", "old")

    said = dict(to_record(record(headers=without[2]), dead(), "placestream", "new")[2])

    assert not said.keys() & set(LEFT_OUT.values())
    assert said["placestream-source-topic-id"] == b"new"
    assert said.keys() <= dead_letter.ADDED


@pytest.mark.parametrize("topic_id", ["ours", ""])
def test_a_senders_word_for_the_id_of_the_topic_is_not_passed_on(topic_id: str) -> None:
    headers = to_record(record(headers=[("placestream-source-topic-id", b"sent")]), dead(), "placestream", topic_id)[2]

    said = [value for name, value in headers if name == "placestream-source-topic-id"]
    assert said == ([topic_id.encode()] if topic_id else [])


def test_only_what_this_program_left_out_counts_as_left_out() -> None:
    left_out = LeftOut("record_too_large", "why")
    assert left_out_of(SimpleNamespace(checksum=left_out)) is left_out
    assert left_out_of(SimpleNamespace(checksum=None)) is None
    assert left_out_of(record()) is None


def test_a_dead_letter_that_is_replayed_is_what_the_first_failure_wrote() -> None:
    cases = golden("dead_letter")
    assert cases["replayed"]["record"]["headers"] == cases["first"]["headers"]


def test_headers_that_repeat_and_are_no_text_stay_in_order() -> None:
    original = [("a", b"1"), ("b", b"\xff\x00"), ("a", b"2"), ("", b""), ("a", b"1")]
    _, _, headers = written(record(headers=original), dead())
    assert headers[: len(original)] == original
    assert [name for name, _ in headers[len(original) :]] == list(ADDED)


@pytest.mark.parametrize(
    ("key", "value", "sent"),
    [
        (b"17", None, (b"17", None)),
        (None, b"x", (None, b"x")),
        (b"", b"", (b"", b"")),
        (None, None, (None, b"")),
    ],
)
def test_only_a_null_value_under_a_null_key_becomes_empty(
    key: bytes | None, value: bytes | None, sent: tuple[bytes | None, bytes | None]
) -> None:
    assert written(record(key, value), dead())[:2] == sent


@pytest.mark.parametrize("more", [[], [("__connect.errors.topic", b"posts")]])
def test_a_null_header_becomes_empty(more: list[tuple[str, bytes]]) -> None:
    headers = written(record(headers=[("city", None), *more]), dead())[2]
    assert headers[0] == ("city", b"")


def test_a_record_without_headers_gets_only_ours() -> None:
    headers = written(record(headers=None), dead("bad_record", "no city"))[2]
    assert [name for name, _ in headers] == list(ADDED)
    assert added(headers)["__connect.errors.exception.message"] == b"no city"


@pytest.mark.parametrize("character", ["x", "é", "€", "🌉"])
def test_a_long_message_is_cut_between_characters(character: str) -> None:
    message = added(written(record(), dead(message="." + character * 2_000))[2])["__connect.errors.exception.message"]
    assert MAX_MESSAGE - 4 < len(message) <= MAX_MESSAGE == 1024
    assert set(message.decode()[1:]) == {character}


def test_a_message_of_half_a_surrogate_pair_can_be_sent() -> None:
    assert added(written(record(), dead(message="a\ud800b"))[2])["__connect.errors.exception.message"] == b"a?b"


def test_every_further_failure_counts_up_and_keeps_the_first_place() -> None:
    read = record(headers=[("city", b"x")])
    for attempts in (1, 2, 3, 4):
        _, _, headers = written(read, dead("bad_record" if attempts == 4 else "encode_failed"))
        assert attempts_of(headers) == attempts
        assert dict(headers)["__connect.errors.offset"] == b"7"
        assert len(dict(headers)) == len(headers)  # nothing twice
        read = record(headers=headers, topic="elsewhere", offset=1000 + attempts)
    assert dict(read.headers)["__connect.errors.topic"] == b"posts"
    assert dict(read.headers)["__connect.errors.stage"] == b"read"


@pytest.mark.parametrize("text", [None, b"", b"-1", b"many", b"\xff", "²".encode(), b"9" * 5_000])
def test_attempts_that_nobody_can_read_count_as_one(text: bytes | None) -> None:
    assert attempts_of([("placestream-attempts", text)]) == 1


def test_stages_and_reasons_are_closed_and_every_stage_is_a_file() -> None:
    assert STAGES == {
        "read": ("bad_record", "record_too_large", "other_encoder"),
        "decode": ("not_an_image", "truncated_image", "image_too_large", "decode_failed"),
        "encode": ("encode_failed", "poison"),
        "publish": ("output_too_large",),
    }
    assert set(REASONS) == set(STAGE_OF) == {reason for reasons in STAGES.values() for reason in reasons}
    assert len(REASONS) == len(set(REASONS))
    folder = Path(consumer.label.__path__[0])
    assert all((folder / f"{stage}.py").is_file() for stage in STAGES)


def test_an_error_without_words_is_named_by_its_class() -> None:
    assert DeadLetter.of("encode_failed", MemoryError()) == DeadLetter("encode_failed", "MemoryError", "MemoryError")
    assert DeadLetter.of("bad_record", ValueError("no city")).message == "no city"


@pytest.mark.parametrize("reason", REASONS)
def test_a_dead_letter_knows_its_stage(reason: str) -> None:
    headers = added(written(record(), dead(reason))[2])
    assert headers["placestream-reason"].decode() == reason
    assert reason in STAGES[headers["__connect.errors.stage"].decode()]
    assert re.fullmatch("[a-z_]+", reason)
