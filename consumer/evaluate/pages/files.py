"""Files that the commands write: their folder is made, and what cannot be written is one line."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from producer.base.errors import CommandError


def write(path: Path, content: str | bytes) -> None:
    """Write a file; its folder is made.

    Raises:
        CommandError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror or error}") from None


def names_of(paths: Sequence[Path]) -> list[str]:
    """What folders, or files without their ending, are called; whole paths where these are not different."""
    names = [path.resolve().name if path.is_dir() else path.stem for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV; None and what is not a number are an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(["" if isinstance(value, float) and math.isnan(value) else value for value in row] for row in rows)
    return text.getvalue()
