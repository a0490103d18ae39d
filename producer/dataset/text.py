"""Text files as people's programs save them: UTF-8 with or without a byte order mark, UTF-16, Windows-1252."""

import codecs

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins as UTF-16's does
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

BEGINNING = 4096
"""Bytes from which a file's encoding is told, where that does not depend on the rest."""

GUESSED = "no UTF-8, read as Windows-1252; if letters are wrong, save it as UTF-8"
"""What is said of a text that no mark and no rule tells the encoding of."""


def encoding_of(beginning: bytes) -> str:
    """Python's name of the encoding: by its byte order mark, or zero bytes (UTF-16 without one); else UTF-8."""
    for mark, encoding in MARKS:
        if beginning.startswith(mark):
            return encoding
    even, odd, least = beginning[::2].count(0), beginning[1::2].count(0), 0.7 * (len(beginning) // 2)
    if odd > least and not even:
        return "utf-16-le"
    if even > least and not odd:
        return "utf-16-be"
    return "utf-8"


def decode(data: bytes) -> tuple[str, bool]:
    """The text, without its byte order mark; and whether its encoding is certain.

    What is no UTF-8 is taken for Windows-1252. No library guesses better where the text is a caption's length:
    charset-normalizer takes ``São Paulo`` for Big5.
    """
    encoding = encoding_of(data[:BEGINNING])
    if encoding != "utf-8":
        return data.decode(encoding, "replace"), True
    try:
        return data.decode(), True
    except UnicodeDecodeError:
        return data.decode("windows-1252", "replace"), False
