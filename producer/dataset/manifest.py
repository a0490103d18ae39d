"""Datasets that are one table: CSV, JSON Lines or Parquet with post_id, city, image_path, caption and created_at.

Rows are read one at a time (Parquet: 1,000), so memory stays flat. Whether an id is repeated is not looked at.
"""

import csv
import json
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import parquet

from producer.base.errors import CommandError
from producer.dataset import instagram
from producer.dataset.entry import Entry, Refused
from producer.post import city_name, parse_time

ENDINGS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
"""Which kind of table a file is, by its ending."""

IMAGE_COLUMNS = ("image_path", "image")

MAX_FIELD = 16 * 1024 * 1024
"""Longest CSV field, in characters: so that an unclosed quote does not read the rest of the file into memory."""

ROUNDED = re.compile(r"\d\.\d+[eE]\+?\d+|\d+\.0+")
"""How spreadsheets and pandas write an id that they took for a number: its last digits are gone."""

Rows = Iterator[tuple[str, dict[str, Any] | str]]
"""Where each row is (``line 7``), and its values by column or, as text, what is wrong with it."""


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
        self._kind = ENDINGS[path.suffix.lower()]
        with _readable(path):
            if self._kind == "csv":
                self._check_columns(_csv_header(path))
            elif self._kind == "parquet":
                schema = parquet.read_schema(path)
                self._check_columns(schema.names)
                _check_id_type(path, schema.field("post_id").type)

    def cities(self) -> Collection[str]:
        """The cities there are, sorted: reads every row, no picture."""
        return sorted({entry.city for entry in self.entries() if isinstance(entry, Entry)})

    def entries(self, cities: Collection[str] | None = None) -> Iterator[Entry | Refused]:
        """In the file's order. A row that is no post comes as `Refused`, with its number.

        Raises:
            CommandError: an id was written as a float, or the file cannot be read on.
        """
        now = datetime.now(UTC)
        with _readable(self._path):
            for place, row in self._rows():
                entry = self._entry(f"{self._path.name} {place}", row, now)
                if cities is None or isinstance(entry, Refused) or entry.city in cities:
                    yield entry

    def count(self, cities: Collection[str] | None = None) -> int | None:
        """Unknown: only reading every row would tell."""
        return None

    def _rows(self) -> Rows:
        if self._kind == "csv":
            return _csv_rows(self._path)
        return _json_rows(self._path) if self._kind == "jsonl" else _parquet_rows(self._path)

    def _check_columns(self, columns: Collection[str]) -> None:
        missing = [name for name in ("post_id", "city") if name not in columns and not (name == "city" and self._city)]
        missing += [] if any(name in columns for name in IMAGE_COLUMNS) else IMAGE_COLUMNS[:1]
        if missing:
            raise CommandError(
                f"{self._path}: no column {', '.join(missing)}; a manifest has post_id, city, image_path and, where "
                f"known, caption and created_at (found: {', '.join(columns)[:200]!r})"
            )

    def _entry(self, where: str, row: dict[str, Any] | str, now: datetime) -> Entry | Refused:
        if isinstance(row, str):
            return Refused(None, f"{where}: {row}")
        post_id = None
        try:
            post_id = _post_id(row.get("post_id"), where)
            city = city_name(_text(row, "city") or self._city or "")
            image = next((text for name in IMAGE_COLUMNS if (text := _text(row, name))), None)
            if image is None:
                raise ValueError("image_path is missing")
            if Path(image).is_absolute():
                raise ValueError(
                    f"image_path {image[:200]!r} is absolute; it must be relative to the manifest's folder"
                )
            created_at = _moment(row.get("created_at"))
            if created_at is None and self._instagram_ids:
                created_at = instagram.created_at(post_id, now)
            folder = self._path.parent
            return Entry(post_id, city, folder / image, _text(row, "caption") or "", created_at, folder, where)
        except ValueError as error:
            return Refused(post_id, f"{where}: {error}")


def _post_id(value: object, where: str) -> str:
    if isinstance(value, float) or (isinstance(value, str) and ROUNDED.fullmatch(value.strip())):
        raise CommandError(f"{where}: post_id {value} was written as a float, its digits are lost; write it as text")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"post_id is missing or no text: {value!r}"[:200])
    return value.strip()


def _text(row: dict[str, Any], column: str) -> str | None:
    """The text in a column; None when there is none."""
    value = row.get(column)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{column} is no text: {value!r}"[:200])
    return value if value and value.strip() else None


def _moment(value: object) -> datetime | None:
    """What a created_at column holds: a timestamp or an ISO 8601 text; without an offset it is UTC."""
    if value is None or value == "":
        return None
    try:
        return parse_time(value.isoformat() if isinstance(value, datetime) else str(value))
    except ValueError:
        raise ValueError(f"created_at is not an ISO 8601 time: {str(value)[:40]!r}") from None


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pyarrow.ArrowException) as error:
        raise CommandError(f"{path}: cannot be read: {' '.join(str(error).split())[:300]}") from None


def _csv_header(path: Path) -> list[str]:
    csv.field_size_limit(MAX_FIELD)
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        try:
            return [name.strip() for name in next(csv.reader(file), [])]
        except csv.Error as error:
            raise CommandError(f"{path}: its first line is no CSV header: {error}") from None


def _csv_rows(path: Path) -> Rows:
    columns = _csv_header(path)
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = csv.reader(file)
        next(rows)
        while True:
            place = f"line {rows.line_num + 1}"
            try:
                values = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield place, f"unreadable row: {error}"
                continue
            if values and len(values) != len(columns):
                yield place, f"the row has {len(values)} fields, the header {len(columns)}"
            elif values:
                yield place, dict(zip(columns, values, strict=True))


def _json_rows(path: Path) -> Rows:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield f"line {number}", f"not JSON: {error}"
                continue
            yield f"line {number}", row if isinstance(row, dict) else "not a JSON object"


def _parquet_rows(path: Path) -> Rows:
    with parquet.ParquetFile(path) as file:
        columns = [
            n for n in file.schema_arrow.names if n in ("post_id", "city", "caption", "created_at", *IMAGE_COLUMNS)
        ]
        number = 0
        for batch in file.iter_batches(batch_size=1000, columns=columns):
            for row in _in_microseconds(pyarrow.Table.from_batches([batch])).to_pylist():
                number += 1
                yield f"row {number}", row


def _in_microseconds(table: Any) -> Any:
    """Nanoseconds do not fit into a datetime, and a post needs none."""
    for index, field in enumerate(table.schema):
        if pyarrow.types.is_timestamp(field.type) and field.type.unit == "ns":
            kind = pyarrow.timestamp("us", field.type.tz)
            table = table.set_column(index, field.name, table.column(index).cast(kind, safe=False))
    return table


def _check_id_type(path: Path, kind: Any) -> None:
    if pyarrow.types.is_floating(kind) or pyarrow.types.is_decimal(kind):
        raise CommandError(f"{path}: column post_id is {kind}: its digits are lost; write it as text or int64")
