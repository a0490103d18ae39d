"""What becomes of the pictures of a folder: `python -m tests.corpus FOLDER`, for whoever has test pictures of others.

Prints how many are decoded, how many are refused for which reason, and what must not happen: other exceptions, and
lines that libraries write to stderr.
"""

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.table import Table

from consumer.classify.pictures.decode import PictureError, PictureLimits
from consumer.classify.pictures.pool import Decoders
from producer.base.logs import LogSettings, setup

AT_ONCE = 16
"""Pictures in memory."""


def main(argv: Sequence[str]) -> int:
    """Print the table.

    Args:
        argv: the folder.

    Returns:
        0, or 1 after an exception or a line on stderr.
    """
    setup(LogSettings.model_validate({}))
    found: dict[str, list[str]] = {"decoded": [], "other exception": []}
    cut: list[None] = []
    with tempfile.TemporaryFile() as said:
        with _stderr_to(said):
            _decode(Path(argv[0]), found, cut)
        said.seek(0)
        lines = said.read().decode(errors="replace").splitlines()
    table = Table("outcome", "pictures", "the first")
    for outcome, names in found.items():
        table.add_row(outcome, str(len(names)), names[0] if names else "")
    table.add_row("cut to their rows", str(len(cut)), "")
    table.add_row("lines on stderr", str(len(lines)), lines[0] if lines else "")
    Console().print(table)
    return 1 if lines or found["other exception"] else 0


def _decode(folder: Path, found: dict[str, list[str]], cut: list[None]) -> None:
    pool = Decoders(PictureLimits())
    pool.on_cut = lambda: cut.append(None)
    for name, outcome in _outcomes(pool, folder):
        found.setdefault(outcome, []).append(name)
    pool.close()


def _outcomes(pool: Decoders, folder: Path) -> Iterator[tuple[str, str]]:
    """Of each file its name, and what became of it; of a refused one also why."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    for first in range(0, len(paths), AT_ONCE):
        chunk = paths[first : first + AT_ONCE]
        try:
            outcomes = list(pool.each([path.read_bytes() for path in chunk]))
        except Exception as error:
            yield f"{chunk[0]} …: {error!r}", "other exception"
            continue
        for path, outcome in zip(chunk, outcomes, strict=True):
            if isinstance(outcome, PictureError):
                yield f"{path.name}: {outcome}", outcome.reason
            else:
                yield path.name, "decoded"


@contextmanager
def _stderr_to(file: IO[bytes]) -> Iterator[None]:
    """Whatever this process and its children write to stderr goes into the file."""
    before = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
