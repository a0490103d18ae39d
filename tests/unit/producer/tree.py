"""Small datasets for the tests of the loaders."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from producer.dataset.entry import Entry, Refused
from producer.dataset.open import Dataset
from producer.post import Post

JPEG = b"\xff\xd8\xff\xe0 picture "
ENOUGH = 1024 * 1024
OLD_ID, MADE = "1480879485913200243", datetime(2017, 3, 29, 2, 30, 13, 147000, UTC)
"""An ID of Instagram's, and the moment that it tells."""


def put(path: Path, content: bytes | str = JPEG) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def posts(dataset: Dataset) -> list[Post]:
    """All posts, read; none may be refused."""
    return [entry.read(ENOUGH) for entry in only_entries(dataset.entries())]


def only_entries(entries: Iterator[Entry | Refused]) -> list[Entry]:
    listed = list(entries)
    assert not [entry for entry in listed if isinstance(entry, Refused)]
    return [entry for entry in listed if isinstance(entry, Entry)]


def ids(dataset: Dataset) -> list[str | None]:
    return [entry.post_id for entry in dataset.entries()]
