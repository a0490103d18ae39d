"""Text files as people's programs save them: UTF-8 with or without a byte order mark, UTF-16, Windows-1252."""

import csv
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from producer.dataset.notices import Notices
from producer.serialised import BEGINNING, encoding_of

DELIMITERS = ",;\t|"

GUESSED = "no UTF-8, read as Windows-1252; if letters are wrong, save it as UTF-8"
"""What is said of a text that no mark and no rule tells the encoding of."""


def decode(data: bytes) -> tuple[str, bool]:
    """The text, without its byte order mark; and whether its encoding is certain.

    What is no UTF-8 is taken for Windows-1252. No library guesses better where the text is a caption's length:
    charset-normalizer takes ``São Paulo`` for Big5.
    """
    encoding = encoding_of(data[:BEGINNING])
    return _utf_8(data) if encoding == "utf-8" else (data.decode(encoding, "replace"), True)


def lines(path: Path, notices: Notices) -> Iterator[str]:
    """A file's lines with their ends, read one at a time.

    Each line is decoded by itself: where files were put together, some lines are UTF-8 and others are not.

    Args:
        path: of the file.
        notices: are told of lines whose encoding is a guess.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        encoding = encoding_of(file.read(BEGINNING))
    if encoding.startswith(("utf-16", "utf-32")):
        with path.open(encoding=encoding, errors="replace", newline="") as file:
            yield from file
        return
    with path.open(encoding="latin-1", newline="") as file:  # which is the bytes, as characters
        for number, line in enumerate(file, 1):
            if line.isascii():
                yield line
                continue
            text, certain = _utf_8(line.encode("latin-1"))
            if not certain:
                kind = f"a line that is {GUESSED}"
                notices.add(kind, f"{path.name} line {number}: {kind}")
            yield text.removeprefix("\ufeff") if number == 1 else text


def delimiter_of(header: str, known: Collection[str]) -> str:
    """What stands between a CSV's fields: that with which its first line names most of the columns that are known."""

    def named(delimiter: str) -> int:
        return sum(name.strip().lower() in known for name in next(csv.reader([header], delimiter=delimiter), ()))

    return max(DELIMITERS, key=named)


def forms(name: str) -> Iterable[str]:
    """The name as it is, and with letters and accents in one, and apart (as macOS has them)."""
    return dict.fromkeys((name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)))


def _utf_8(data: bytes) -> tuple[str, bool]:
    try:
        return data.decode(), True
    except UnicodeDecodeError:
        return data.decode("windows-1252", "replace"), False
