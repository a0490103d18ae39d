"""Refuses pictures of more parts than any camera or program writes: cheap to send, dear to read, and no picture.

A decoder looks at every part, and some in quadratic time. Only what is counted in a moment is counted here; the rest is
left to the decoder's own limits of time and memory.
"""

import re
import struct

JPEG_SCANS = 100
"""A progressive JPEG has about ten; each goes over the whole picture."""
JPEG_SEGMENTS = 1_000
"""Before the first scan. A profile or an Exif of 16 MB takes 250."""
PNG_CHUNKS = 20_000
"""Programs cut 15 MB into 2,000."""
GIF_BLOCKS = 4_000
"""Of extensions before the first frame, up to 255 bytes each."""
TIFF_TAGS = 1_000
"""Of the first directory."""

_MARKER = re.compile(rb"\xff+([^\x00\xff])", re.DOTALL)
_SCAN, _END, _ALONE = 0xDA, 0xD9, (0x01, *range(0xD0, 0xDA))
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


class TooMuch(ValueError):
    """The picture has more parts of a kind than are allowed."""


def check_structure(data: bytes) -> None:
    """Count the parts of a JPEG, PNG, GIF or TIFF; of anything else, and of what is broken, nothing.

    Raises:
        TooMuch: there are more than any program writes.
    """
    try:
        if data.startswith(b"\xff\xd8"):
            _check_jpeg(data)
        elif data.startswith(b"\x89PNG\r\n\x1a\n"):
            _check_png(data)
        elif data.startswith((b"GIF87a", b"GIF89a")):
            _check_gif(data)
        elif data.startswith((b"II", b"MM")):
            _check_tiff(data)
    except (struct.error, IndexError, OverflowError):  # it ends early: the decoder says how
        return


def _check_jpeg(data: bytes) -> None:
    at, segments = 2, 0
    while (found := _MARKER.search(data, at)) and (marker := data[found.start(1)]) != _SCAN:
        segments += 1
        _allow(segments, JPEG_SEGMENTS, "segments of a JPEG")
        at = found.end()
        if marker not in _ALONE:
            at += struct.unpack_from(">H", data, at)[0]
    if found:
        end = data.find(bytes((0xFF, _END)), found.end())  # behind it a telephone may put a film
        scans = data.count(bytes((0xFF, _SCAN)), found.start(), len(data) if end < 0 else end)
        _allow(scans, JPEG_SCANS, "scans of a JPEG")


def jpeg_scans(data: bytes) -> tuple[int, bool]:
    """How many scans a JPEG has, and whether together they hold every coefficient to its last bit."""
    at, scans, lacking = 2, 0, {(0, 0)}
    try:
        while (found := _MARKER.search(data, at)) and (marker := data[found.start(1)]) != _END:
            at = found.end()
            if marker in _ALONE:
                continue
            (length,) = struct.unpack_from(">H", data, at)
            segment = data[at + 2 : at + length]
            if marker in _FRAMES:
                lacking = {(component, place) for component in segment[6::3] for place in range(64)}
            elif marker == _SCAN:
                scans += 1
                of = 1 + 2 * segment[0]
                first, last, bits = segment[of : of + 3]
                if not bits & 15:
                    lacking -= {(component, place) for component in segment[1:of:2] for place in range(first, last + 1)}
            at += length
    except (struct.error, IndexError, ValueError):  # it ends within a header
        return scans, False
    return scans, not lacking


def _check_png(data: bytes) -> None:
    at, chunks = 8, 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IEND":
            return
        chunks += 1
        _allow(chunks, PNG_CHUNKS, "chunks of a PNG")
        at += 12 + length


def _check_gif(data: bytes) -> None:
    flags, at, blocks = data[10], 13, 0
    if flags & 0x80:
        at += 3 * 2 ** ((flags & 7) + 1)
    while data[at] == 0x21:
        at += 2
        while size := data[at]:
            blocks += 1
            _allow(blocks, GIF_BLOCKS, "blocks before the first frame of a GIF")
            at += 1 + size
        at += 1


def _check_tiff(data: bytes) -> None:
    order = "<" if data.startswith(b"II") else ">"
    is_big = struct.unpack_from(f"{order}H", data, 2)[0] == 43
    (directory,) = struct.unpack_from(f"{order}{'Q' if is_big else 'I'}", data, 8 if is_big else 4)
    (tags,) = struct.unpack_from(f"{order}{'Q' if is_big else 'H'}", data, directory)
    _allow(tags, TIFF_TAGS, "tags of a TIFF")


def _allow(number: int, most: int, of_what: str) -> None:
    if number > most:
        raise TooMuch(f"more than {most:,} {of_what}")
