"""ICC profiles made for the tests."""

import struct

RED, GREEN, BLUE = (0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
"""Of sRGB, in the profile connection space."""
WHITE = (0.9642, 1.0, 0.8249)


def rgb(red: tuple[float, ...] = RED, green: tuple[float, ...] = GREEN, blue: tuple[float, ...] = BLUE) -> bytes:
    """A profile of three primaries, with a gamma of 2.2."""
    primaries = {b"rXYZ": red, b"gXYZ": green, b"bXYZ": blue}
    return _profile(b"RGB ", {tag: _xyz(*xyz) for tag, xyz in primaries.items()} | dict.fromkeys(_CURVES, _gamma(2.2)))


def grey(gamma: float) -> bytes:
    """A profile of grey."""
    return _profile(b"GRAY", {b"kTRC": _gamma(gamma)})


_CURVES = (b"rTRC", b"gTRC", b"bTRC")


def _profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    name = b"desc" + struct.pack(">II", 0, 5) + b"test\0" + bytes(78)
    tags = {b"desc": name, b"cprt": b"text\0\0\0\0none\0", b"wtpt": _xyz(*WHITE), **tags}
    at, table, content = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for tag, data in tags.items():
        padded = data + bytes(-len(data) % 4)
        table += tag + struct.pack(">II", at + len(content), len(data))
        content += padded
    size = at + len(content)
    header = struct.pack(">I4sI4s4s4s", size, b"none", 0x02400000, b"mntr", space, b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + _xyz(*WHITE)[8:]
    return header.ljust(128, b"\0") + table + content


def _xyz(*values: float) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in values))


def _gamma(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))
