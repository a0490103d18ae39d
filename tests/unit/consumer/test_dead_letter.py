import base64
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import consumer.label
from consumer.dead_letter import MAX_MESSAGE, REASONS, STAGE_OF, STAGES, DeadLetter, attempts_of, to_record
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


@pytest.mark.parametrize("case", ["first", "replayed"])
def test_the_golden_dead_letters_are_written_byte_for_byte(case: str) -> None:
    expected = golden("dead_letter")[case]
    original = expected["record"]
    read = SimpleNamespace(
        topic=original["topic"],
        partition=original["partition"],
        offset=original["offset"],
        key=original["key"].encode(),
        value=base64.b64decode(original["value"]),
        headers=[(name, value.encode()) for name, value in original["headers"]],
    )
    key, value, headers = written(read, DeadLetter(expected["reason"], expected["error"], expected["message"]))
    assert (key, value) == (read.key, read.value)
    assert [[name, text.decode()] for name, text in headers] == expected["headers"]


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
        "read": ("bad_record",),
        "decode": ("not_an_image", "truncated_image", "image_too_large"),
        "encode": ("encode_failed",),
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
