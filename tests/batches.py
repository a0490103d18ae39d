"""Record batches byte by byte: what a sender can pack, and how to hand it to a broker that checks it."""

import gzip
import hashlib
import io
import socket
import struct
from collections.abc import Iterable, Sequence

import lz4.frame
import snappy
import zstandard
from crc32c import crc32c
from kafka.codec import snappy_encode

from deploy.local.stack import Stack
from tests.conftest import PATIENCE, wait_until

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}

NOT_YET = (3, 5, 6)
"""Errors of a broker that does not yet lead the partition: UNKNOWN_TOPIC, LEADER_NOT_AVAILABLE, NOT_LEADER."""

Header = tuple[bytes, bytes | None]


def varint(value: int) -> bytes:
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value > 0x7F:
        out.append(0x80 | value & 0x7F)
        value >>= 7
    return bytes([*out, value])


def sized(data: bytes | None) -> bytes:
    return varint(-1) if data is None else varint(len(data)) + data


def record(
    delta: int,
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[Header] = (),
    *,
    since: int = 0,
    attributes: bytes = b"\0",
    count: int | None = None,
    length: int | None = None,
) -> bytes:
    """A record; `count` and `length` are what it claims of its headers and itself."""
    body = attributes + varint(since) + varint(delta) + sized(key) + sized(value)
    body += varint(len(headers) if count is None else count)
    body += b"".join(sized(name) + sized(value) for name, value in headers)
    return varint(len(body) if length is None else length) + body


def pack(data: Iterable[bytes], codec: str) -> bytes:
    """Compress a stream of bytes that may be larger than memory."""
    if codec == "none":
        return b"".join(data)
    if codec == "snappy":
        return bytes(snappy_encode(b"".join(data)))
    if codec == "snappy-raw":
        return bytes(snappy.compress(b"".join(data)))
    out = io.BytesIO()
    if codec == "gzip":
        with gzip.GzipFile(fileobj=out, mode="w") as packed:
            packed.writelines(data)
    elif codec == "lz4":
        with lz4.frame.LZ4FrameFile(out, "w", block_linked=False) as frame:
            for chunk in data:
                frame.write(chunk)
    else:
        compressor = zstandard.ZstdCompressor(level=3).compressobj()
        for chunk in data:
            out.write(compressor.compress(chunk))
        out.write(compressor.flush())
    return out.getvalue()


def batch(
    records: Iterable[bytes],
    count: int,
    codec: str = "none",
    *,
    base: int = 0,
    last: int | None = None,
    packed: bytes | None = None,
    time: int = 1_700_000_000_000,
    attributes: int = 0,
) -> bytes:
    """A batch of these bytes, which claims to have so many records; `packed` stands for them compressed."""
    body = pack(records, codec) if packed is None else packed
    last = count - 1 if last is None else last
    checked = (
        struct.pack(">hiqqqhii", attributes | CODECS[codec.removesuffix("-raw")], last, time, time, -1, -1, -1, count)
        + body
    )
    return struct.pack(">qiibI", base, 9 + len(checked), 0, 2, crc32c(checked)) + checked


def zeros(size: int, chunk: int = 2**20) -> Iterable[bytes]:
    for start in range(0, size, chunk):
        yield bytes(min(chunk, size - start))


def bomb(delta: int, key: bytes, size: int, headers: Sequence[Header] = ()) -> Iterable[bytes]:
    """A record whose value is so many zeros, in pieces."""
    begin = b"\0" + varint(0) + varint(delta) + sized(key) + varint(size)
    end = varint(len(headers)) + b"".join(sized(name) + sized(value) for name, value in headers)
    yield varint(len(begin) + size + len(end)) + begin
    yield from zeros(size)
    yield end


def hash_of_zeros(size: int) -> str:
    digest = hashlib.sha256()
    for chunk in zeros(size):
        digest.update(chunk)
    return digest.hexdigest()


def produce(stack: Stack, topic: str, data: bytes) -> int:
    """Send one batch to partition 0 as it is, which no client would do; the broker's error code, 0 for none.

    A broker may know of a new topic, and not yet that it leads it.
    """
    answered = NOT_YET[0]

    def is_taken_up() -> bool:
        nonlocal answered
        answered = _produce(stack, topic, data)
        return answered not in NOT_YET

    wait_until(is_taken_up, what=f"a leader of {topic}")
    return answered


def _produce(stack: Stack, topic: str, data: bytes) -> int:

    def text(value: str) -> bytes:
        return struct.pack(">h", len(value)) + value.encode()

    body = struct.pack(">hhi", -1, -1, 60_000) + struct.pack(">i", 1) + text(topic)
    body += struct.pack(">iii", 1, 0, len(data)) + data
    head = struct.pack(">hhi", 0, 7, 1) + text("stranger")
    host, port = stack.broker.address.split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
        connection.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
        answer = connection.makefile("rb")
        (size,) = struct.unpack(">i", answer.read(4))
        answered = answer.read(size)
    (error,) = struct.unpack_from(">h", answered, 4 + 4 + 2 + len(topic.encode()) + 4 + 4)
    return int(error)
