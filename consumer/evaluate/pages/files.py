"""Files that the commands write: their folder is made, and what cannot be written is one line."""

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from producer.base.errors import CommandError

BOM = "\ufeff"
"""Before a CSV that people open: without it Excel takes UTF-8 for Windows-1252."""

FORMULA = re.compile("'*[=+\\-@\\t\\r]")
"""How text begins that gets an apostrophe, since a spreadsheet would compute it: ids and cities are others' text."""


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
    """Rows as CSV; None and what is not a number are an empty field, and text has an apostrophe before a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(map(_field, row) for row in rows)
    return text.getvalue()


def unquoted(field: str) -> str:
    """What was written into a field that `table` made."""
    return field[1:] if field.startswith("'") and FORMULA.match(field) else field


def _field(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return ""
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value
