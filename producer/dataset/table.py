"""Tables of any kind as rows: CSV as spreadsheets save it, JSON Lines, Parquet. What a row means is not known here.

Rows are read one at a time (Parquet: 1,000, of pictures 50), so memory stays flat.
"""

import csv
import json
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import parquet

from producer.base.errors import CommandError, Wrong
from producer.dataset.notices import Notices
from producer.dataset.text import delimiter_of, lines

ENDINGS = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
"""Which kind of table a file is, by its ending."""

MAX_FIELD = 16 * 1024 * 1024
"""Longest CSV field, in characters: so that an unclosed quote does not read the rest of the file into memory."""

AS_TEXT = re.compile(r'="(.*)"', re.DOTALL)
"""A cell that a spreadsheet is told to keep as text."""

SEPARATOR = re.compile('"?sep=."?', re.IGNORECASE)
"""A line for Excel above the names of the columns."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""Of a unit of Arrow's, how many a second has."""

Rows = Iterator[tuple[str, dict[str, Any] | ValueError]]
"""Where each row is (``line 7``), and its values by column, or what is wrong with it."""


class Table:
    """A file of rows that can be gone through again and again."""

    def __init__(self, path: Path, wanted: Collection[str], notices: Notices) -> None:
        """Look at the file's beginning.

        Args:
            path: ends in one of `ENDINGS`.
            wanted: columns that are looked at; others are passed over.
            notices: are told what was not read as it stands.

        Raises:
            CommandError: the file cannot be read, or a wanted column is there twice.
        """
        self._path = path
        self._wanted = wanted
        self._notices = notices
        self._kind = ENDINGS[path.suffix.lower()]
        self.columns: Sequence[str] | None = None  # unknown for JSON Lines: every row has its own
        self.types: dict[str, Any] = {}  # of Parquet's columns
        with _readable(path):
            if self._kind == "csv":
                self.columns = _csv(path, wanted, notices)[0]
            elif self._kind == "parquet":
                schema = parquet.read_schema(path)
                self.columns = schema.names
                self.types = dict(zip(schema.names, schema.types, strict=True))
        if twice := [name for name in wanted if list(self.columns or ()).count(name) > 1]:
            raise CommandError(f"{path}: column {', '.join(twice)} is there twice; keep one of them")

    def rows(self) -> Rows:
        """In the file's order.

        Raises:
            CommandError: the file cannot be read on.
        """
        with _readable(self._path):
            if self._kind == "csv":
                yield from _csv_rows(self._path, self._wanted, self._notices)
            elif self._kind == "jsonl":
                yield from _json_rows(self._path, self._notices)
            else:
                yield from _parquet_rows(self._path, self._wanted)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pyarrow.ArrowException) as error:
        raise CommandError(f"{path}: cannot be read: {' '.join(str(error).split())[:300]}") from None


def _csv(path: Path, wanted: Collection[str], notices: Notices) -> tuple[list[str], Any]:
    """The names of the columns, and a reader of the rows below them."""
    csv.field_size_limit(MAX_FIELD)
    source = lines(path, notices)
    first, above = next(source, ""), 0
    while first and (not first.strip() or SEPARATOR.fullmatch(first.strip())):
        first, above = next(source, ""), above + 1
    try:
        rows = csv.reader(chain(above * ["\n"], [first], source), delimiter=delimiter_of(first, wanted))
        return [name.strip().lower() for name in next(filter(None, rows), [])], rows
    except csv.Error as error:
        raise CommandError(f"{path}: its first line is no CSV header: {error}") from None


def _csv_rows(path: Path, wanted: Collection[str], notices: Notices) -> Rows:
    columns, rows = _csv(path, wanted, notices)
    while True:
        place = f"line {rows.line_num + 1}"
        try:
            values = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield place, Wrong("unreadable row", str(error))
            continue
        if not any(value.strip() for value in values):
            continue  # spreadsheets write rows of nothing but separators
        if len(values) != len(columns):
            yield place, ValueError(f"the row has {len(values)} fields, the header {len(columns)}")
        else:
            yield place, dict(zip(columns, map(_cell, values), strict=True))


def _cell(value: str) -> str:
    return kept[1] if (kept := AS_TEXT.fullmatch(value.strip())) else value


def _json_rows(path: Path, notices: Notices) -> Rows:
    for number, line in enumerate(lines(path, notices), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield f"line {number}", Wrong("not JSON", str(error))
            continue
        yield f"line {number}", row if isinstance(row, dict) else ValueError("not a JSON object")


def _parquet_rows(path: Path, wanted: Collection[str]) -> Rows:
    with parquet.ParquetFile(path) as file:
        schema = file.schema_arrow
        columns = [name for name in schema.names if name in wanted]
        kinds = [schema.field(name).type for name in columns]
        number, size = 0, 50 if any(map(_holds_bytes, kinds)) else 1000
        for batch in file.iter_batches(batch_size=size, columns=columns):
            for values in zip(*map(_values, batch.columns), strict=True):
                number += 1
                yield f"row {number}", dict(zip(batch.schema.names, values, strict=True))


def _holds_bytes(kind: Any) -> bool:
    kinds = (pyarrow.types.is_struct, pyarrow.types.is_binary, pyarrow.types.is_large_binary)
    return any(each(kind) for each in kinds)


def _values(column: Any) -> list[Any]:
    """A column's values. A moment that no datetime can be comes as text: a file may hold any number."""
    kind = column.type
    if pyarrow.types.is_timestamp(kind):
        return [_moment(ticks, TICKS[kind.unit]) for ticks in column.cast(pyarrow.int64()).to_pylist()]
    if pyarrow.types.is_date32(kind):
        days = column.cast(pyarrow.int32()).to_pylist()
        return [_moment(day if day is None else day * 86_400, 1) for day in days]
    values: list[Any] = column.to_pylist()
    return values


def _moment(ticks: int | None, a_second: int) -> datetime | str | None:
    if ticks is None:
        return None
    try:
        return EPOCH + timedelta(microseconds=ticks * 10**6 // a_second)
    except OverflowError:
        return f"{ticks // a_second} seconds after 1970"
