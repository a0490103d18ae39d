"""What a dead letter is: the original record, byte for byte, plus headers that say where, why and with what message.

Of what is too large for that, sizes and hashes take the place: `LeftOut`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from consumer.origin import SOURCE_TOPIC_ID, Origin
from producer.base.errors import Wrong

Headers = list[tuple[str, bytes]]

OTHER_ENCODER = "other_encoder"
"""The reason of vectors that `relabel` cannot use: no other model is in the places' space."""

STAGES = {
    "read": ("bad_record", "record_too_large", OTHER_ENCODER),
    "decode": ("not_an_image", "truncated_image", "image_too_large", "decode_failed"),
    "encode": ("encode_failed", "poison"),
    "publish": ("output_too_large",),
}
"""The stages that can give up on a record, each a file of `consumer/label`, and the closed set of their reasons.

One more reason is a new major version of the dead-letter headers' contract: who reads them knows all there are."""

MAYBE_OURS = ("decode_failed", "encode_failed", "poison")
"""Reasons that may be our fault; all others are the sender's. A label that does not fit has a giant post_id."""

REASONS = tuple(reason for reasons in STAGES.values() for reason in reasons)
STAGE_OF = {reason: stage for stage, reasons in STAGES.items() for reason in reasons}

PREFIX = "__connect.errors."
"""Kafka Connect's header names, so that existing tools read our dead letters."""
ATTEMPTS = "placestream-attempts"
REASON = "placestream-reason"
SOURCE = "placestream-source"
"""The `Origin`: the record that died, also when it was a replayed one."""
LEFT_OUT = {
    "value_bytes": "placestream-value-bytes",
    "value_sha256": "placestream-value-sha256",
    "key_bytes": "placestream-key-bytes",
    "header_count": "placestream-header-count",
    "header_bytes": "placestream-header-bytes",
    "last_offset": "placestream-last-offset",
}
"""Attribute of `LeftOut` -> header. A dead letter with one of them is not the whole original."""
MAX_MESSAGE = 1024
"""Longest ``exception.message`` header, in bytes."""
MAX_KEY = 4096
"""Longest key of a dead letter that is not the whole original, in bytes; see `short_key`."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What of a record is too much to be held or sent on. None of an attribute: that part is as it was.

    Attributes:
        reason: ``record_too_large``, or ``bad_record`` of one that is broken.
        message: one line for a person.
        value_bytes: size of the value; of the whole record where its parts cannot be told apart.
        value_sha256: of the same, as hexadecimal digits.
        key_bytes: size of the key, which `short_key` has replaced.
        header_count: how many headers there were.
        header_bytes: their size.
        last_offset: this record stands for all from its own offset to this one, which cannot be told apart.
    """

    reason: str
    message: str
    value_bytes: int | None = None
    value_sha256: str | None = None
    key_bytes: int | None = None
    header_count: int | None = None
    header_bytes: int | None = None
    last_offset: int | None = None

    @classmethod
    def everything(cls, record: Any, message: str) -> "LeftOut":
        """Value, headers and a long key of a record that is too large to be sent on, with what was left out before."""
        known = left_out_of(record) or cls("record_too_large", message)
        if record.value is not None:
            known = replace(known, value_bytes=len(record.value), value_sha256=hashlib.sha256(record.value).hexdigest())
        if record.key is not None and len(record.key) > MAX_KEY:
            known = replace(known, key_bytes=len(record.key))
        if known.header_count is None:
            size = sum(len(name.encode()) + len(value or b"") for name, value in record.headers or ())
            known = replace(known, header_count=len(record.headers or ()), header_bytes=size)
        return replace(known, reason="record_too_large", message=message)

    @property
    def headers(self) -> Headers:
        """What a dead letter says of it."""
        said = ((name, getattr(self, field)) for field, name in LEFT_OUT.items())
        return [(name, str(value).encode()) for name, value in said if value is not None]


def left_out_of(record: Any) -> LeftOut | None:
    """What `consumer.kafka.unpack` has left out of a record; None: nothing. It travels where checksums used to."""
    found = getattr(record, "checksum", None)
    return found if isinstance(found, LeftOut) else None


def short_key(key: bytes | None) -> bytes | None:
    """The key, or its hash where it is longer than `MAX_KEY`."""
    if key is None or len(key) <= MAX_KEY:
        return key
    return f"sha256:{hashlib.sha256(key).hexdigest()}".encode()


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why a record could not be labelled; it travels with its record through the batch.

    Attributes:
        reason: one of `REASONS`.
        error: class name of the error.
        message: one line for a person.
        left_out: what of the record the dead letter does without.
        kind: what is wrong, in words that all of its kind share; empty: the reason says it.
    """

    reason: str
    error: str
    message: str
    left_out: LeftOut | None = None
    kind: str = ""

    @property
    def stage(self) -> str:
        """The stage that gave up: the name of a file of `consumer/label`."""
        return STAGE_OF[self.reason]

    @property
    def may_be_ours(self) -> bool:
        """Whether the fault may be ours, not the sender's."""
        return self.reason in MAYBE_OURS

    @classmethod
    def of(cls, reason: str, error: Exception) -> "DeadLetter":
        """The dead letter for `error`."""
        kind = error.kind if isinstance(error, Wrong) else ""
        return cls(reason, type(error).__name__, str(error) or type(error).__name__, kind=kind)

    @classmethod
    def without(cls, left_out: LeftOut) -> "DeadLetter":
        """The dead letter of a record that is not whole."""
        error = "MessageSizeTooLarge" if left_out.reason == "record_too_large" else "CorruptRecord"
        return cls(left_out.reason, error, left_out.message, left_out)


OF_THE_FIRST = (f"{PREFIX}topic", f"{PREFIX}partition", f"{PREFIX}offset", ATTEMPTS)
OF_THE_LAST = (f"{PREFIX}stage", f"{PREFIX}exception.class.name", f"{PREFIX}exception.message", REASON, SOURCE)
ADDED = frozenset((*OF_THE_FIRST, *OF_THE_LAST, SOURCE_TOPIC_ID, *LEFT_OUT.values()))
"""Every header that a dead letter may have beyond those of the original."""


def to_record(
    record: Any, dead: DeadLetter, group_id: str, topic_id: str = ""
) -> tuple[bytes | None, bytes | None, Headers]:
    """Key, value and headers of the dead letter's record.

    A null value under a null key, and a null header value, become ``b""`` (consumer/kafka/README.md, fact 36).
    A record that is itself a replayed dead letter keeps its first topic, partition and offset, and counts up.

    Args:
        record: the original, as kafka-python's consumer returned it.
        dead: why it died.
        group_id: of the worker.
        topic_id: of the record's topic; without one no header says it.
    """
    left_out = dead.left_out
    original = [(name, value if value is not None else b"") for name, value in record.headers or ()]
    first_failure = not any(name == f"{PREFIX}topic" for name, _ in original)
    attempts = attempts_of(original) + 1
    if left_out and left_out.header_count is not None:
        original = list({name: value[:MAX_MESSAGE] for name, value in original if name in OF_THE_FIRST}.items())
    if first_failure:
        headers = [
            *((name, value) for name, value in original if name != SOURCE_TOPIC_ID),  # a sender cannot know it
            (f"{PREFIX}topic", record.topic.encode()),
            (f"{PREFIX}partition", str(record.partition).encode()),
            (f"{PREFIX}offset", str(record.offset).encode()),
        ]
    else:
        replaced = ADDED.difference(OF_THE_FIRST[:3])
        headers = [(name, value) for name, value in original if name not in replaced]
        headers.append((ATTEMPTS, str(attempts).encode()))
    headers += [
        (f"{PREFIX}stage", dead.stage.encode()),
        (f"{PREFIX}exception.class.name", dead.error.encode()),
        (f"{PREFIX}exception.message", _cut(dead.message)),
        (REASON, dead.reason.encode()),
        (SOURCE, str(Origin.of(group_id, record)).encode()),
    ]
    if topic_id:
        headers.append((SOURCE_TOPIC_ID, topic_id.encode()))
    key, value = record.key, record.value
    if left_out:
        headers += left_out.headers
        key = key if left_out.key_bytes is None else short_key(key)
        value = value if left_out.value_bytes is None else None
    return key, b"" if key is None and value is None else value, headers


def attempts_of(headers: Sequence[tuple[str, bytes | None]]) -> int:
    """How often a record has failed by its ``placestream-attempts`` header; 1 without a readable one."""
    for name, value in reversed(headers):
        if name == ATTEMPTS and value is not None and value.isdigit() and len(value) < 10:  # Python limits int("9…9")
            return int(value)
    return 1


def _cut(message: str) -> bytes:
    """The message as at most `MAX_MESSAGE` bytes of UTF-8, cut between characters."""
    return message.encode("utf-8", "replace")[:MAX_MESSAGE].decode("utf-8", "ignore").encode()
