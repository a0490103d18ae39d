"""Records as kafka-python's consumer returns them, made by hand."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Record:
    """The fields of a ConsumerRecord that the worker reads."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, Any]] = field(default_factory=list)
    timestamp: int = 1_700_000_000_000


def record(
    offset: int,
    value: bytes | None,
    *,
    headers: list[tuple[str, Any]] | None = None,
    caption: str | None = None,
    key: bytes | None = b"",
    partition: int = 0,
) -> Record:
    """A record of topic ``posts``; without `headers` it has a city, and the caption."""
    if headers is None:
        headers = [("city", b"london")]
        if caption is not None:
            headers.append(("caption", caption.encode()))
    return Record("posts", partition, offset, str(offset).encode() if key == b"" else key, value, headers)
