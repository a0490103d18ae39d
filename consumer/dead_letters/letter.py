"""A dead letter as people look at it: what its headers say, without the value."""

import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from consumer.dead_letter import LEFT_OUT, PREFIX, REASON, SOURCE, attempts_of
from consumer.origin import SOURCE_TOPIC_ID, Origin, parse_number
from producer.base.errors import Wrong
from producer.post import FIELDS
from producer.serialised import fields_of, id_of, is_json

MISSING = "–"
CLIENT_ID = "placestream-dead-letters"
"""Of who reads the topics of dead letters and receipts."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What a record of the dead-letter topic says of itself; None: it does not say.

    Attributes:
        post_id: the key or, without one, the JSON form's field.
        topic: of the original.
        partition: of the original.
        offset: of the original.
        stage: which gave up.
        reason: one of `consumer.dead_letter.REASONS`, unless others wrote it.
        error: class name of the error.
        message: one line for a person.
        attempts: how often it has failed.
        key: of the record.
        source: the record that died: the original, or a replayed one.
        source_topic_id: of that topic.
        left_out: of what it does without, header by header; empty: it is the whole post.
        at: its own partition and offset in the dead-letter topic.
        time: when it died.
    """

    post_id: str | None
    topic: str | None
    partition: int | None
    offset: int | None
    stage: str | None
    reason: str | None
    error: str | None
    message: str | None
    attempts: int
    key: bytes | None
    source: Origin | None
    source_topic_id: str | None
    left_out: dict[str, str]
    at: tuple[int, int]
    time: datetime

    @classmethod
    def of(cls, record: Any) -> "Letter":
        """Read a record as kafka-python's consumer returned it."""
        headers: list[tuple[str, bytes | None]] = record.headers or []
        named = {name: None if value is None else value.decode("utf-8", "replace") for name, value in headers}
        return cls(
            _post_id(record.key, record.value),
            named.get(f"{PREFIX}topic"),
            parse_number(named.get(f"{PREFIX}partition")),
            parse_number(named.get(f"{PREFIX}offset")),
            named.get(f"{PREFIX}stage"),
            named.get(REASON),
            named.get(f"{PREFIX}exception.class.name"),
            named.get(f"{PREFIX}exception.message"),
            attempts_of(headers),
            record.key,
            Origin.parse(named.get(SOURCE) or ""),
            named.get(SOURCE_TOPIC_ID),
            {field: text for field, name in LEFT_OUT.items() if (text := named.get(name)) is not None},
            (record.partition, record.offset),
            datetime.fromtimestamp(max(0, record.timestamp) / 1000, UTC),
        )

    @property
    def coordinates(self) -> str:
        """Where the original lay: ``posts/3/4711``."""
        if self.topic is None:
            return MISSING
        numbers = (MISSING if number is None else str(number) for number in (self.partition, self.offset))
        return "/".join((self.topic, *numbers))

    @property
    def names(self) -> set[str]:
        """What a person may call it by: the post's id or the original's coordinates, as `list` prints them."""
        return {self.coordinates} | ({self.post_id} if self.post_id else set())


def printable(text: str) -> str:
    """The text with control characters escaped: ids, captions and messages are others' text on our terminal."""
    controls = ("Cc", "Cs", "Zl", "Zp")
    return "".join(c.encode("unicode_escape").decode() if unicodedata.category(c) in controls else c for c in text)


def _post_id(key: bytes | None, value: bytes | None) -> str | None:
    if key:
        return printable(key.decode("utf-8", "backslashreplace"))
    if value and is_json(value):
        try:
            return printable(id_of(fields_of(value, FIELDS).get("post_id"))) or None
        except Wrong:
            return None
    return None
