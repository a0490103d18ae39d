"""What a stranger may send to hurt: each small to send and dear to read. Made here, so that none lies in the tree."""

import base64
import io
import json
import random
import struct
import zlib
from typing import Any

from PIL import Image

from producer.post import HEADERS, Post

EXIF = b"\xff\xe1\x00\x09Exif\x00\x00\x00"
"""The smallest segment that Pillow joins to the others."""


def tall_png(height: int, width: int = 1) -> bytes:
    """A PNG of RGBA zeros; one of 1 x 50,000,000 has 243 kB, and took 2.3 GiB to decode."""
    pack = zlib.compressobj(9)
    row = bytes(1 + 4 * width)
    rows = 100_000
    packed = b"".join(pack.compress(row * min(rows, height - done)) for done in range(0, height, rows))
    return png((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)), (b"IDAT", packed + pack.flush()))


def png_of_many_chunks(chunks: int) -> bytes:
    """A PNG with empty chunks, each of which Pillow reads for itself."""
    header = (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return png(header, *[(b"tEXt", b"")] * chunks, (b"IDAT", zlib.compress(bytes(2))))


def jpeg_of_many_scans(scans: int, side: int) -> bytes:
    """A progressive JPEG with empty scans, each of which goes over the whole picture."""
    data = _jpeg(side)
    last = data.rindex(b"\xff\xda")
    header = data[last : last + 2 + int.from_bytes(data[last + 2 : last + 4])]
    return data[:-2] + header * scans + b"\xff\xd9"


def jpeg_of_many_segments(segments: int) -> bytes:
    """A JPEG with Exif segments, which Pillow joins one by one: 860,000 took 29 s."""
    return b"\xff\xd8" + EXIF * segments + _jpeg(8)[2:]


def gif_of_a_long_comment(blocks: int) -> bytes:
    """A GIF with a comment in blocks, which Pillow joins one by one."""
    comment = b"\x21\xfe" + (b"\xff" + bytes(255)) * blocks + b"\x00"
    frame = b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x4c\x01\x00;"
    return b"GIF89a\x01\x00\x01\x00\x80\x00\x00" + bytes(6) + comment + frame


def tiff_of_many_tags(tags: int) -> bytes:
    """A TIFF of one pixel whose first directory has more tags than it needs."""
    of_picture = {256: 1, 257: 1, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 1, 279: 1}
    rest = range(1_000, 1_000 + tags - len(of_picture))
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in (of_picture | dict.fromkeys(rest, 0)).items()]
    return b"II*\x00\x0c\x00\x00\x00" + bytes(4) + struct.pack("<H", tags) + b"".join(entries) + bytes(4)


def json_forms(picture: bytes) -> list[bytes]:
    """A post's JSON form as serialisers write it, and its picture as none should."""
    base = {"post_id": "post", "city": "london", "caption": "a caption", "created_at": 1490754613}
    images = (base64.b64encode(picture).decode(), "data:image/jpeg;base64,_-8", list(picture[:9]), picture.hex())
    forms = [json.dumps(base | {"image": image}).encode() for image in images]
    whole = forms[0].decode()
    return [
        *forms,
        json.dumps({"schema": None, "payload": json.loads(whole)}).encode(),
        json.dumps(whole).encode(),
        b"\0\0\0\0\7" + forms[0],
        b"\xef\xbb\xbf\r\n" + forms[0],
        *(whole.encode(encoding) for encoding in ("utf-16", "utf-16-be", "utf-32")),
        whole.replace("post_id", "postId").encode(),
    ]


def damaged(chance: random.Random, picture: bytes) -> tuple[bytes | None, bytes | None, list[tuple[str, Any]]]:
    """A post's record in any form, with some bytes of its value, key or headers changed."""
    key, value, headers = Post("post", "london", picture, "a caption").to_record()
    if chance.random() < 0.5:
        value = chance.choice(json_forms(picture))
        headers = chance.choice(([], [("content-type", b"application/json")]))
    changed = bytearray(value)
    for _ in range(chance.choice((0, 1, 3, 20))):
        changed[min(int(chance.expovariate(8 / len(changed))), len(changed) - 1)] = chance.randrange(256)
    if chance.random() < 0.3:
        headers = [(name, chance.randbytes(chance.randrange(1, 30))) for name, _ in headers]
    if chance.random() < 0.1:
        headers.append((chance.choice(HEADERS).title().replace("-", "_"), b'"a caption"'))
    return (
        key if chance.random() < 0.6 else chance.choice((None, b'"post"', chance.randbytes(8))),
        bytes(changed),
        headers,
    )


def _jpeg(side: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (side, side), 200).save(buffer, "JPEG", progressive=True)
    return buffer.getvalue()


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in (*chunks, (b"IEND", b"")))


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
