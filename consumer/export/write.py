"""Stage `write`: rows become a file, written beside its name and renamed when it is whole and on the disk."""

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from consumer.export.table import COLUMNS, Row
from producer.base.disk import put_in_place
from producer.post import format_time

UNFINISHED = ".unfinished"
"""Name of a file in the making; its dot hides it from pandas, DuckDB's globs and people."""
GROUP = 20_000
"""Rows of a row group: enough to compress well, few enough to hold in memory."""


class Parquet:
    """Writes `COLUMNS`, in row groups of about `GROUP` rows."""

    def __init__(self, file: Any) -> None:
        self._writer = pq.ParquetWriter(file, COLUMNS, compression="zstd")
        self._waiting: list[Any] = []

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows."""
        self._waiting.append(pa.RecordBatch.from_pylist(list(rows), schema=COLUMNS))
        if sum(batch.num_rows for batch in self._waiting) >= GROUP:
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
        self._writer.write_table(pa.Table.from_batches(self._waiting, COLUMNS))
        self._waiting = []


class JsonLines:
    """Writes one object per line; instants as on the wire."""

    def __init__(self, file: Any) -> None:
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

    def __init__(self, folder: Path, format: str) -> None:
        """Begin a file; what a killed export left unfinished is overwritten."""
        self._folder = folder
        self._file = (folder / UNFINISHED).open("wb")
        self._writer = WRITERS[format](self._file)
        self.rows = 0

    def add(self, rows: Sequence[Row]) -> None:
        """Add rows."""
        if rows:
            self._writer.write(rows)
            self.rows += len(rows)

    def finish(self, name: str) -> None:
        """Give it its name: from then on it is there for good, also after a power cut."""
        self._writer.close()
        put_in_place(self._file, self._folder / name)

    def discard(self) -> None:
        """Forget it."""
        self._writer.discard()
        with contextlib.suppress(OSError):  # of a full disk, most likely: that is why
            self._file.close()
        (self._folder / UNFINISHED).unlink(missing_ok=True)
