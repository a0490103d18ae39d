"""Dead letters as they lie in their topic."""

from typing import Any

from consumer.dead_letter import DeadLetter, to_record
from tests.unit.consumer.label.records import Record


def dead(key: bytes | None = b"17", value: bytes | None = b"x", headers: Any = ()) -> Record:
    """The record of a dead letter in the dead-letter topic."""
    original = Record("posts", 3, 4711, key, value, list(headers))
    key, value, headers = to_record(original, DeadLetter("truncated_image", "SomeError", "why"), "placestream")
    return Record("posts-dlt", 3, 0, key, value, headers)
