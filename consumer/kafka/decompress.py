"""The unpacked bytes of a compressed batch as a stream, of which no more is held than one record needs."""

import gzip
import hashlib
import io
from collections.abc import Callable, Iterator

import lz4.frame
import snappy
import zstandard
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.util import decode_varint

BATCH_BYTES = 2**30
"""So much of a batch is unpacked, which takes seconds."""
BLOCK_BYTES = 64 * 2**20
"""Largest block of Snappy, which is unpacked whole. Java's clients write blocks of 32 KiB."""
CHUNK = 256 * 1024
"""Bytes that are unpacked at once."""

Read = Callable[[int], bytes]
"""At most so many bytes more; none at the end."""


class TooMuch(Exception):
    """The batch unpacks to more than `BATCH_BYTES`."""


class Stream:
    """The unpacked bytes of a batch, read from its beginning to its end."""

    def __init__(self, codec: int, data: memoryview) -> None:
        """Begin with nothing unpacked.

        Args:
            codec: kafka-python's number of it.
            data: the packed bytes.

        Raises:
            ValueError: there is no such codec.
        """
        self.unpacked = 0  # bytes
        self._read = _reader(codec, data)
        self._held = bytearray()
        self._at = 0  # of the next byte, in what is held
        self._before = 0  # bytes of the batch before what is held

    @property
    def position(self) -> int:
        """Of the next byte, in the batch."""
        return self._before + self._at

    def varint(self) -> int:
        """The next number.

        Raises:
            ValueError: it has more than 64 bits.
            EOFError: there are no more bytes; as in all that follows, where the codec raises errors of its own too.
        """
        while True:
            try:
                value, self._at = decode_varint(self._held, self._at)
            except IndexError:
                self._at_least(len(self._held) - self._at + 1)
            else:
                return int(value)

    def take(self, size: int) -> bytes:
        """The next bytes."""
        held, start, end = self.hold(size)
        return bytes(held[start:end])

    def digest(self, size: int) -> str:
        """The SHA-256 of the next bytes, which are not held."""
        digest = hashlib.sha256()
        while size:
            self._at_least(1)
            held, start, end = self.hold(min(size, len(self._held) - self._at))
            digest.update(memoryview(held)[start:end])
            size -= end - start
        return digest.hexdigest()

    def hold(self, size: int) -> tuple[bytearray, int, int]:
        """Where the next bytes lie, until more is read: from the first number to the second one."""
        self._at_least(size)
        self._at += size
        return self._held, self._at - size, self._at

    def _at_least(self, size: int) -> None:
        if len(self._held) - self._at >= size:
            return
        del self._held[: self._at]
        self._before, self._at = self._before + self._at, 0
        while len(self._held) < size:
            chunk = self._read(CHUNK)
            self.unpacked += len(chunk)
            if not chunk:
                raise EOFError("the batch ends before")
            if self.unpacked > BATCH_BYTES:
                raise TooMuch(f"the batch unpacks to more than {BATCH_BYTES} bytes")
            self._held += chunk


def _reader(codec: int, data: memoryview) -> Read:
    """What unpacks these bytes as a stream."""
    read: Read
    if codec == DefaultRecordBatch.CODEC_GZIP:
        read = gzip.GzipFile(fileobj=io.BytesIO(data)).read1
    elif codec == DefaultRecordBatch.CODEC_SNAPPY:
        read = _joined(_snappy(data))
    elif codec == DefaultRecordBatch.CODEC_LZ4:
        read = lz4.frame.LZ4FrameFile(io.BytesIO(data)).read1
    elif codec == DefaultRecordBatch.CODEC_ZSTD:
        read = zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read1
    else:
        raise ValueError(f"there is no codec {codec}")
    return read


def _snappy(data: memoryview) -> Iterator[bytes]:
    """Unpacked blocks: behind Java's header many, each after its length; other clients write a single one."""
    if bytes(data[:8]) != b"\x82SNAPPY\0":
        yield _snappy_block(data)
        return
    start = 16
    while start < len(data):
        end = start + 4 + int.from_bytes(data[start : start + 4], "big")
        yield _snappy_block(data[start + 4 : end])
        start = end


def _snappy_block(block: memoryview) -> bytes:
    size = 0
    for number, byte in enumerate(block[:5]):  # it begins with its unpacked size, as a varint without a sign
        size |= (byte & 0x7F) << 7 * number
        if byte < 0x80:
            break
    if size > BLOCK_BYTES:
        raise ValueError(f"a block of {size} bytes")
    unpacked: bytes = snappy.decompress(bytes(block))
    return unpacked


def _joined(blocks: Iterator[bytes]) -> Read:
    block = io.BytesIO()

    def read(size: int) -> bytes:
        nonlocal block
        while not (chunk := block.read(size)):
            following = next(blocks, None)
            if following is None:
                return b""
            block = io.BytesIO(following)
        return chunk

    return read
