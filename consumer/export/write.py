"""Stage `write`: rows become a file, written beside its name and renamed when it is whole and on the disk."""

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from consumer.export.table import Contents, Row
from consumer.vector_table import to_batch
from producer.base.disk import put_in_place
from producer.post import format_time

UNFINISHED = ".unfinished"
"""Name of a file in the making; its dot hides it from pandas, DuckDB's globs and people."""


class Parquet:
    """Writes rows of the same columns, in row groups of about so many rows."""

    def __init__(self, file: Any, columns: Any, group: int) -> None:
        # Of a vector's numbers, none of which repeats, a dictionary would be work for nothing.
        repeated = [field.name for field in columns if not pa.types.is_fixed_size_list(field.type)]
        self._columns, self._group = columns, group
        self._writer = pq.ParquetWriter(file, columns, compression="zstd", use_dictionary=repeated)
        self._waiting: list[Any] = []

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows."""
        self._waiting.append(to_batch(rows, self._columns))
        if sum(batch.num_rows for batch in self._waiting) >= self._group:
            self._flush()

    def close(self) -> None:
        """Write what is still in memory, and the footer."""
        self._flush()
        self._writer.close()

    def discard(self) -> None:
        """Write nothing more; also after a failure of `write` or `close`, and after `close`."""
        self._waiting = []
        self._writer.is_open = False  # else it writes its footer when it is collected, into a file that is closed

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_batches(self._waiting, self._columns))
        self._waiting = []


class JsonLines:
    """Writes one object per line; instants as on the wire."""

    def __init__(self, file: Any, columns: Any, group: int) -> None:
        self._file = file

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows."""
        lines = (json.dumps(row, ensure_ascii=False, default=format_time) + "\n" for row in rows)
        self._file.write("".join(lines).encode())

    def close(self) -> None:
        """Nothing is in memory."""

    def discard(self) -> None:
        """Nothing is in memory."""


WRITERS: dict[str, type[Parquet] | type[JsonLines]] = {"parquet": Parquet, "jsonl": JsonLines}


class Unfinished:
    """The one file in the making of a folder; at most one export writes there."""

    def __init__(self, folder: Path, format: str, contents: Contents) -> None:
        """Begin a file; what a killed export left unfinished is overwritten."""
        self._folder, self._format, self._contents = folder, format, contents
        self._file = (folder / UNFINISHED).open("wb")
        self._writer: Parquet | JsonLines | None = None  # the first row says which columns there are
        self._columns: Any = None
        self.rows = 0

    def takes(self, row: Row) -> bool:
        """Whether a row has the columns of those that are in it already."""
        return self._columns is None or bool(self._columns == self._contents.columns(row))

    def add(self, rows: Sequence[Row]) -> None:
        """Add rows, all of which it takes."""
        if not rows:
            return
        if self._writer is None:
            self._columns = self._contents.columns(rows[0])
            self._writer = WRITERS[self._format](self._file, self._columns, self._contents.group)
        self._writer.write(rows)
        self.rows += len(rows)

    def finish(self, name: str) -> None:
        """Give it its name: from then on it is there for good, also after a power cut."""
        if self._writer is not None:
            self._writer.close()
        put_in_place(self._file, self._folder / name)

    def discard(self) -> None:
        """Forget it."""
        if self._writer is not None:
            self._writer.discard()
        with contextlib.suppress(OSError):  # of a full disk, most likely: that is why
            self._file.close()
        (self._folder / UNFINISHED).unlink(missing_ok=True)
