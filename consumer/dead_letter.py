"""What a dead letter is: the original record, byte for byte, plus headers that say where, why and with what message."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Headers = list[tuple[str, bytes]]

STAGES = {
    "read": ("bad_record",),
    "decode": ("not_an_image", "truncated_image", "image_too_large", "decode_failed"),
    "encode": ("encode_failed", "poison"),
    "publish": ("output_too_large",),
}
"""The stages that can give up on a record, each a file of `consumer/label`, and the closed set of their reasons."""

MAYBE_OURS = ("decode_failed", "encode_failed", "poison")
"""Reasons that may be our fault; all others are the sender's. A label that does not fit has a giant post_id."""

REASONS = tuple(reason for reasons in STAGES.values() for reason in reasons)
STAGE_OF = {reason: stage for stage, reasons in STAGES.items() for reason in reasons}

PREFIX = "__connect.errors."
"""Kafka Connect's header names, so that existing tools read our dead letters."""
ATTEMPTS = "placestream-attempts"
REASON = "placestream-reason"
SOURCE = "placestream-source"
"""``/placestream/<group>/<topic>/<partition>/<offset>`` of the record that died, also when it was a replayed one."""
MAX_MESSAGE = 1024
"""Longest ``exception.message`` header, in bytes."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why a record could not be labelled; it travels with its record through the batch.

    Attributes:
        reason: one of `REASONS`.
        error: class name of the error.
        message: one line for a person.
    """

    reason: str
    error: str
    message: str

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
        return cls(reason, type(error).__name__, str(error) or type(error).__name__)


def to_record(record: Any, dead: DeadLetter, group_id: str) -> tuple[bytes | None, bytes | None, Headers]:
    """Key, value and headers of the dead letter's record.

    kafka-python can send neither a null value under a null key nor a null header value: these become ``b""``.
    A record that is itself a replayed dead letter keeps its first topic, partition and offset, and counts up.

    Args:
        record: the original, as kafka-python's consumer returned it.
        dead: why it died.
        group_id: of the worker.
    """
    original: Sequence[tuple[str, bytes | None]] = record.headers or ()
    first_failure = not any(name == f"{PREFIX}topic" for name, _ in original)
    replaced = {f"{PREFIX}stage", f"{PREFIX}exception.class.name", f"{PREFIX}exception.message", REASON, SOURCE}
    if first_failure:
        headers = [(name, value if value is not None else b"") for name, value in original]
        headers += [
            (f"{PREFIX}topic", record.topic.encode()),
            (f"{PREFIX}partition", str(record.partition).encode()),
            (f"{PREFIX}offset", str(record.offset).encode()),
        ]
    else:
        attempts = attempts_of(original) + 1
        headers = [
            (name, value if value is not None else b"")
            for name, value in original
            if name not in replaced and name != ATTEMPTS
        ]
        headers.append((ATTEMPTS, str(attempts).encode()))
    headers += [
        (f"{PREFIX}stage", dead.stage.encode()),
        (f"{PREFIX}exception.class.name", dead.error.encode()),
        (f"{PREFIX}exception.message", _cut(dead.message)),
        (REASON, dead.reason.encode()),
        (SOURCE, f"/placestream/{group_id}/{record.topic}/{record.partition}/{record.offset}".encode()),
    ]
    value = b"" if record.key is None and record.value is None else record.value
    return record.key, value, headers


def attempts_of(headers: Sequence[tuple[str, bytes | None]]) -> int:
    """How often a record has failed by its ``placestream-attempts`` header; 1 without a readable one."""
    for name, value in reversed(headers):
        if name == ATTEMPTS and value is not None and value.isdigit() and len(value) < 10:  # Python limits int("9…9")
            return int(value)
    return 1


def _cut(message: str) -> bytes:
    """The message as at most `MAX_MESSAGE` bytes of UTF-8, cut between characters."""
    return message.encode("utf-8", "replace")[:MAX_MESSAGE].decode("utf-8", "ignore").encode()
