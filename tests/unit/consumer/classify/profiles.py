"""ICC profiles made for the tests."""

import struct

RED, GREEN, BLUE = (0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
"""Of sRGB, in the profile connection space."""
WHITE = (0.9642, 1.0, 0.8249)


def rgb(red: tuple[float, ...] = RED, green: tuple[float, ...] = GREEN, blue: tuple[float, ...] = BLUE) -> bytes:
    """A profile of three primaries, with a gamma of 2.2."""
    primaries = {b"rXYZ": red, b"gXYZ": green, b"bXYZ": blue}
    return _profile(b"RGB ", {tag: _xyz(*xyz) for tag, xyz in primaries.items()} | dict.fromkeys(_CURVES, _gamma(2.2)))


def lut(swapped: bool = False) -> bytes:
    """A profile that is a table, as those of printers and of jpegli's XYB are: ``A2B0`` of all its five steps.

    The table may swap red and blue; then come a gamma of 2.2 and the primaries of sRGB.
    """
    each = [(red, green, blue) for red in (0, 1) for green in (0, 1) for blue in (0, 1)]
    table = [reversed(colour) if swapped else colour for colour in each]
    grid = bytes([2, 2, 2]).ljust(16, b"\0") + b"\2\0\0\0"
    grid += struct.pack(f">{3 * len(each)}H", *(65535 * level for colour in table for level in colour))
    # Of XYZ 65535 stands for nearly 2.
    matrix = [32768 / 65535 * level for row in zip(RED, GREEN, BLUE, strict=True) for level in row]
    plain, curved = (3 * (b"para" + bytes(8) + struct.pack(">i", round(gamma * 65536))) for gamma in (1.0, 2.2))
    parts = [plain, _fixed(*matrix, 0, 0, 0), curved, grid, plain]
    offsets = [32 + sum(map(len, parts[:number])) for number in range(len(parts))]
    table_of_colours = b"mAB " + bytes(4) + b"\3\3\0\0" + struct.pack(">5I", *offsets) + b"".join(parts)
    return _profile(b"RGB ", {b"A2B0": table_of_colours}, version=4)


def grey(gamma: float) -> bytes:
    """A profile of grey."""
    return _profile(b"GRAY", {b"kTRC": _gamma(gamma)})


_CURVES = (b"rTRC", b"gTRC", b"bTRC")


def _profile(space: bytes, tags: dict[bytes, bytes], version: int = 2) -> bytes:
    name = b"desc" + struct.pack(">II", 0, 5) + b"test\0" + bytes(78)
    tags = {b"desc": name, b"cprt": b"text\0\0\0\0none\0", b"wtpt": _xyz(*WHITE), **tags}
    at, table, content = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for tag, data in tags.items():
        padded = data + bytes(-len(data) % 4)
        table += tag + struct.pack(">II", at + len(content), len(data))
        content += padded
    size = at + len(content)
    header = struct.pack(">I4sI4s4s4s", size, b"none", version << 24 | 0x400000, b"mntr", space, b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + _xyz(*WHITE)[8:]
    return header.ljust(128, b"\0") + table + content


def _xyz(*values: float) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(*values)


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _gamma(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))
