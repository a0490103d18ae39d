"""Datasets that are one table: CSV, JSON Lines or Parquet with post_id, city, image_path, caption and created_at."""

import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path, PureWindowsPath
from typing import Any

import pyarrow

from producer.base.errors import CommandError, Wrong
from producer.city import city_name, spelled_twice
from producer.dataset import instagram
from producer.dataset.entry import Entry, Refused, refused
from producer.dataset.moment import moment
from producer.dataset.notices import Notices
from producer.dataset.repeats import Repeats
from producer.dataset.table import Table
from producer.dataset.text import GUESSED, decode

IMAGE_COLUMNS = ("image_path", "image")
COLUMNS = ("post_id", "city", *IMAGE_COLUMNS, "caption", "created_at")

ROUNDED = re.compile(r"\d[.,]\d+[eE]\+?\d+|\d+[.,]0+")
"""How spreadsheets and pandas write an id that they took for a number: its last digits are gone."""

LONG = re.compile(r"[1-9]\d{17,}")
CUT = re.compile(r"[1-9]\d{14}0{3,}")
"""A long id as a spreadsheet keeps it, which knows 15 digits of a number. One in a thousand is so by itself."""

BY_CHANCE = 1 / 50
"""Share of such ids among the long ones above which it is said."""

SAME = "left out: a post that an earlier row has, all the same"
OTHER = (
    "an earlier row has this post_id and city with another picture, caption or time; give each post an id of its own"
)

LONGEST_PATH = 4096
MOST_SEEN = 10_000
"""Cities that are kept in mind for their spelling: a table has some, not one a post."""


class Manifest:
    """The rows of a table file, in its own order."""

    def __init__(self, path: Path, city: str | None, ids: str | None) -> None:
        """Look at the columns.

        Raises:
            CommandError: the file cannot be read, a column is missing, or its type loses the ids' digits.
        """
        self._path = path
        self._city = city
        self._instagram_ids = ids == "instagram"
        self._notices = Notices()
        self._seen: set[str] = set()
        self._long = self._cut = 0
        self._table = Table(path, COLUMNS, self._notices)
        if self._table.columns is not None:
            self._check_columns(self._table.columns)
        if "post_id" in self._table.types:
            _check_id_type(path, self._table.types["post_id"])

    def cities(self) -> Collection[str]:
        """The cities there are, sorted: reads every row, no picture."""
        return sorted({entry.city for entry in self.entries() if isinstance(entry, Entry)})

    def entries(self, cities: Collection[str] | None = None) -> Iterator[Entry | Refused]:
        """In the file's order. A row that is no post comes as `Refused`, with its number.

        Raises:
            CommandError: an id was written as a float, or the file cannot be read on.
        """
        now, repeats = datetime.now(UTC), Repeats()
        self._notices.begin()
        self._long = self._cut = 0
        try:
            for place, row in self._table.rows():
                entry = self._entry(f"{self._path.name} {place}", row, now)
                if isinstance(entry, Entry) and len(self._seen) < MOST_SEEN:
                    self._seen.add(entry.city)
                if not (cities is None or isinstance(entry, Refused) or entry.city in cities):
                    continue
                if isinstance(entry, Refused) or (repeated := repeats.look(entry)) == "new":
                    yield entry
                elif repeated == "same":
                    self._notices.add(SAME, f"{entry.where}: {SAME}: {entry.post_id!r}")
                else:
                    yield refused(entry.post_id, entry.where, Wrong(OTHER, repr(entry.post_id)))
        finally:
            repeats.close()
            self._notices.say_numbers()
            if line := spelled_twice(self._seen):
                self._notices.say(f"{self._path}: {line}")

    def count(self, cities: Collection[str] | None = None) -> int | None:
        """Unknown: only reading every row would tell."""
        return None

    def _check_columns(self, columns: Collection[str]) -> None:
        missing = [name for name in ("post_id", "city") if name not in columns and not (name == "city" and self._city)]
        missing += [] if any(name in columns for name in IMAGE_COLUMNS) else IMAGE_COLUMNS[:1]
        if missing:
            raise CommandError(
                f"{self._path}: no column {', '.join(missing)}; a manifest has post_id, city, image_path and, where "
                f"known, caption and created_at (found: {', '.join(columns)[:200]!r})"
            )

    def _entry(self, where: str, row: dict[str, Any] | ValueError, now: datetime) -> Entry | Refused:
        if isinstance(row, ValueError):
            return refused(None, where, row)
        post_id = None
        try:
            post_id = self._post_id(row.get("post_id"), where)
            city = city_name(_whole(self._text(row, "city", where) or self._city or "", "city"))
            path, content = _picture(row)
            created_at = moment(row.get("created_at"))
            if created_at is None and self._instagram_ids:
                created_at = instagram.created_at(post_id, now)
            folder, caption = self._path.parent, self._text(row, "caption", where) or ""
            return Entry(post_id, city, folder / path, caption, created_at, folder, where, content)
        except ValueError as error:
            return refused(post_id, where, error)

    def _post_id(self, value: object, where: str) -> str:
        if isinstance(value, float) or (isinstance(value, str) and ROUNDED.fullmatch(value.strip())):
            raise CommandError(
                f"{where}: post_id {value} was written as a float, its digits are lost; write it as text"
            )
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if not isinstance(value, str) or not value.strip():
            raise Wrong("post_id is missing or no text", repr(value)[:200])
        text = _whole(value.strip(), "post_id")
        post_id = text[1:] if text[0] == "'" and text[1:].isdigit() else text  # a spreadsheet's mark of text
        self._look_at_digits(post_id)
        return post_id

    def _look_at_digits(self, post_id: str) -> None:
        """Say, once, that a spreadsheet has cut the ids."""
        if not LONG.fullmatch(post_id):
            return
        self._long += 1
        self._cut += CUT.fullmatch(post_id) is not None
        if self._cut > 1 and self._cut > BY_CHANCE * self._long:
            what = "long ids with nothing but zeros from their 16th digit on"
            self._notices.say(f"{self._path.name}: {what}: did a spreadsheet cut them? Keep ids as text")

    def _text(self, row: dict[str, Any], column: str, where: str) -> str | None:
        """The text in a column; None when there is none."""
        value = row.get(column)
        if isinstance(value, bytes):
            value, certain = decode(value)
            if not certain:
                kind = f"a {column} that is {GUESSED}"
                self._notices.add(kind, f"{where}: {kind}")
        if value is not None and not isinstance(value, str):
            raise Wrong(f"{column} is no text", repr(value)[:200])
        return value if value and value.strip() else None


def _picture(row: dict[str, Any]) -> tuple[str, bytes | None]:
    """The picture's path, relative to the manifest; and the picture itself, where the row holds it."""
    name, value = next(((n, v) for n in IMAGE_COLUMNS if (v := row.get(n)) not in (None, "", b"")), ("", None))
    if isinstance(value, dict):  # as Hugging Face's datasets have it
        if isinstance(value.get("bytes"), str):
            raise Wrong(f"{name} has its bytes as text; a table that holds pictures is Parquet", repr(value)[:100])
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        if (path := _path_in(value)) is None:
            return "", value
        value = path
    if value is None or (isinstance(value, str) and not value.strip()):
        raise ValueError("image_path is missing")
    if not isinstance(value, str):
        raise Wrong(f"{name} is neither a path nor a picture", repr(value)[:200])
    path = value.replace("\\", "/")
    if PureWindowsPath(path).anchor:
        raise Wrong("image_path is absolute; it must be relative to the manifest's folder", repr(path[:200]))
    return path, None


def _path_in(value: bytes) -> str | None:
    """The path that a column of bytes holds; None when it holds a picture: none is UTF-8 without zero bytes."""
    if len(value) > LONGEST_PATH or b"\0" in value:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _whole(text: str, column: str) -> str:
    """The text, of which no letter was lost before it came here."""
    if "\ufffd" in text:
        raise Wrong(f"{column} has lost letters in another program; save the table as UTF-8", repr(text[:100]))
    return text


def _check_id_type(path: Path, kind: Any) -> None:
    if pyarrow.types.is_floating(kind) or pyarrow.types.is_decimal(kind):
        raise CommandError(f"{path}: column post_id is {kind}: its digits are lost; write it as text or int64")
