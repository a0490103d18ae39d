"""What of a PNG is handed to Pillow: its pixels and what tells how to show them, whatever else is broken or too large.

Pillow gives a picture up for a wrong checksum in a comment, or a comment that unpacks to more than 1 MB.
"""

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
LARGEST_PROFILE = 4 * 2**20
"""Bytes of an unpacked profile; a larger one is left out."""

_GREY, _RGB = 0, 2
"""Colour types."""


def essential(data: bytes) -> tuple[bytes, bytes | None]:
    """The PNG without ancillary chunks, except for whole ones of transparency and Exif; and its ICC profile.

    An animation is its default picture then. Where chunks cannot be told apart any more, the rest is as it was.
    """
    parts, packed_profile = [SIGNATURE], b""
    at, depth, colour = len(SIGNATURE), 0, 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if not kind.isalpha():
            break
        begin, end = at + 8, at + 8 + length
        if kind == b"IHDR" and length >= 13:
            depth, colour = data[begin + 8], data[begin + 9]
        if kind[:1].isupper():
            parts.append(data[at : end + 4])
        elif kind in (b"tRNS", b"eXIf", b"iCCP") and _is_whole(data, at, end):
            content = data[begin:end]
            if kind == b"iCCP":
                packed_profile = packed_profile or content  # the first alone: each may take long to unpack
            elif kind == b"eXIf":
                parts.append(data[at : end + 4])
            elif transparency := _transparency(content, depth, colour):
                parts.append(_chunk(kind, transparency))
        at = end + 4
        if kind == b"IEND":
            at = len(data)
    return b"".join((*parts, data[at:])), _unpacked(packed_profile)


def _is_whole(data: bytes, at: int, end: int) -> bool:
    return data[end : end + 4] == struct.pack(">I", zlib.crc32(memoryview(data)[at + 4 : end]))


def _unpacked(content: bytes) -> bytes | None:
    """The profile of an iCCP chunk: a name, a zero, the method 0, and the profile packed by zlib."""
    name, _, packed = content.partition(b"\0")
    unpack = zlib.decompressobj()
    try:
        profile = unpack.decompress(packed[1:], LARGEST_PROFILE)
    except zlib.error:
        return None
    return profile if unpack.eof and name and packed[:1] == b"\0" else None


def _transparency(content: bytes, depth: int, colour: int) -> bytes | None:
    """A tRNS chunk in the levels that Pillow makes of the pixels: it scales 2 and 4 bits up, and colours of 16 down."""
    if colour not in (_GREY, _RGB):
        return content
    size = 2 if colour == _GREY else 6
    if len(content) < size:
        return None
    levels = struct.unpack_from(f">{size // 2}H", content)
    if colour == _GREY and depth in (2, 4):
        levels = tuple(level * 255 // (2**depth - 1) for level in levels)
    elif colour == _RGB and depth == 16:
        levels = tuple(level >> 8 for level in levels)
    return struct.pack(f">{size // 2}H", *(min(level, 2**16 - 1) for level in levels))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
