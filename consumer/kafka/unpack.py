"""The records of a batch one by one, whatever its sender has packed: none too large to hold, and none that raises.

kafka-python raises, each time, at a record that it cannot read (consumer/kafka/README.md, fact 23). Here it comes
without what is too much of it, and `consumer.dead_letter.left_out_of` tells what that was.
"""

import hashlib
import itertools
from collections.abc import Iterator
from typing import Any

from kafka.record.default_records import DefaultRecord, DefaultRecordBatch
from kafka.record.util import decode_varint

from consumer.dead_letter import MAX_KEY, LeftOut
from consumer.kafka.decompress import Stream, TooMuch
from producer.topics import DEAD_LETTER_MARGIN, LARGEST_MAX_REQUEST_SIZE

LARGEST = LARGEST_MAX_REQUEST_SIZE + DEAD_LETTER_MARGIN
"""Bytes of the largest record of a compressed batch that is held, where the topic's limit is not known."""
MOST_HEADERS = 1_000
MOST_HEADER_BYTES = 2 * 2**20
"""A record with more of them comes without any: each costs objects. The longest captions of all have 253 kB."""

Headers = list[tuple[str, bytes | None]]


class Batch:
    """kafka-python's batch, but iterating over it holds one record at a time and raises nothing."""

    def __init__(self, batch: DefaultRecordBatch, largest: int = LARGEST) -> None:
        """Begin with nothing unpacked.

        Args:
            batch: if its checksum is wrong, `validate_crc` says so before anything is iterated.
            largest: bytes of a record that is held whole, if the batch is compressed.
        """
        self._batch = batch
        self._largest = largest
        self._base, self._last = batch.base_offset, batch.last_offset
        self._expected = self._base  # offset of the next record
        self._stream: Stream | None = None
        self._type = batch.timestamp_type
        self._appended_at = batch.max_timestamp if self._type == batch.LOG_APPEND_TIME else None
        self._first_timestamp = batch.first_timestamp

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)  # of a control batch: brokers write them, and take none of clients

    def __iter__(self) -> Iterator[DefaultRecord]:
        """The records; where the rest cannot be told apart, one stands for all of it."""
        records = self._streamed() if self._batch.compression_type else self._plain()
        try:
            yield from itertools.islice(records, max(0, self._batch.records_count))
        except MemoryError:
            raise  # no fault of the sender's
        except Exception as error:  # every codec has its own
            if self._expected <= self._last:
                yield self._rest(error)

    def _plain(self) -> Iterator[DefaultRecord]:
        buffer, end = self._batch._buffer, self._batch._pos
        while True:
            length, start = decode_varint(buffer, end)
            end = start + length
            if not start <= end <= len(buffer):
                raise ValueError(f"a record of {length} bytes")
            yield self._parsed(buffer, start, end)

    def _streamed(self) -> Iterator[DefaultRecord]:
        stream = Stream(self._batch.compression_type, memoryview(self._batch._buffer)[self._batch._pos :])
        self._stream = stream
        while True:
            length = stream.varint()
            if length < 0:
                raise ValueError(f"a record of {length} bytes")
            if length <= self._largest:
                yield self._parsed(*stream.hold(length))
            else:
                yield self._passed_over(stream, length)

    def _parsed(self, buffer: bytearray, start: int, end: int) -> DefaultRecord:
        """The record that fills this place."""
        try:
            since, pos = decode_varint(buffer, start + 1)  # after the attributes, of which none is in use
            delta, pos = decode_varint(buffer, pos)
            size, pos = decode_varint(buffer, pos)
            key = None
            if size >= 0:
                key, pos = bytes(buffer[pos : pos + size]), pos + size
            size, pos = decode_varint(buffer, pos)
            value = None
            if size >= 0:
                value, pos = bytes(memoryview(buffer)[pos : pos + size]), pos + size  # copied once, not twice
            count, pos = decode_varint(buffer, pos)
            if count > MOST_HEADERS or end - pos > MOST_HEADER_BYTES:
                left_out = LeftOut(
                    "record_too_large", _too_many(count, end - pos), header_count=count, header_bytes=end - pos
                )
                return self._record(end - start, since, delta, key, value, [], left_out)
            headers, pos = _headers(buffer, pos, count)
            if pos != end:
                raise ValueError(f"its parts end at byte {pos - start} of {end - start}")
            return self._record(end - start, since, delta, key, value, headers)
        except (ValueError, IndexError) as error:
            return self._broken(end - start, hashlib.sha256(buffer[start:end]).hexdigest(), error)

    def _passed_over(self, stream: Stream, length: int) -> DefaultRecord:
        """A record that is too large to be held: its value is hashed as it goes by, and a long key too."""
        end = stream.position + length
        try:
            stream.take(1)
            since, delta = stream.varint(), stream.varint()
            size = _within(stream, end, stream.varint())
            key_bytes = size if size > MAX_KEY else None
            key = f"sha256:{stream.digest(size)}".encode() if key_bytes else None if size < 0 else stream.take(size)
            value_bytes = _within(stream, end, stream.varint())
            digest = stream.digest(max(0, value_bytes))
            count = stream.varint()
            rest = _within(stream, end, end - stream.position)
            headers: Headers = []
            too_many = count > MOST_HEADERS or rest > MOST_HEADER_BYTES
            if too_many:
                stream.digest(rest)
            else:
                headers, pos = _headers(bytearray(stream.take(rest)), 0, count)
                if pos != rest:
                    raise ValueError(f"its headers end {rest - pos} bytes before it")
            left_out = LeftOut(
                "record_too_large",
                f"{length} bytes unpacked; at most {self._largest} are read",
                value_bytes if value_bytes >= 0 else None,
                digest if value_bytes >= 0 else None,
                key_bytes,
                count if too_many else None,
                rest if too_many else None,
            )
            return self._record(length, since, delta, key, None, headers, left_out)
        except (ValueError, IndexError) as error:
            stream.digest(_within(stream, end, end - stream.position))
            return self._broken(length, None, error)

    def _record(
        self,
        size: int,
        since: int,
        delta: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        left_out: LeftOut | None = None,
    ) -> DefaultRecord:
        offset = self._base + delta
        if not self._expected <= offset <= self._last:  # consumer/kafka/README.md, fact 25
            raise ValueError(f"it says that its offset is {offset}")
        self._expected = offset + 1
        timestamp = self._first_timestamp + since if self._appended_at is None else self._appended_at
        if left_out is None:
            return DefaultRecord(size, offset, timestamp, self._type, key, value, headers)
        return _Partial(left_out, size, offset, timestamp, self._type, key, value, headers)

    def _broken(self, size: int, digest: str | None, error: Exception) -> DefaultRecord:
        """A record whose end is known, but not its parts."""
        if self._expected > self._last:
            raise error  # more records than offsets
        why = LeftOut("bad_record", f"a record of {size} bytes that cannot be read: {error}", size, digest)
        return self._nameless(size, why)

    def _rest(self, error: Exception) -> DefaultRecord:
        """What stands for all records of the batch that have not come yet."""
        reason = "record_too_large" if isinstance(error, TooMuch) else "bad_record"
        message = (
            f"{self._last - self._expected + 1} records, up to offset {self._last}, cannot be told apart: "
            f"{type(error).__name__}: {error}"
        )
        size = self._stream.unpacked if self._stream else 0
        return self._nameless(size, LeftOut(reason, message, last_offset=self._last))

    def _nameless(self, size: int, left_out: LeftOut) -> DefaultRecord:
        offset, self._expected = self._expected, self._expected + 1
        return _Partial(left_out, size, offset, self._batch.max_timestamp, self._type, None, None, [])


class _Partial(DefaultRecord):  # type: ignore[misc]
    """A record of which something is left out."""

    __slots__ = ("checksum",)  # what of a record's fields no broker fills any more

    def __init__(self, left_out: LeftOut, *fields: Any) -> None:
        super().__init__(*fields)
        self.checksum = left_out


def _within(stream: Stream, end: int, size: int) -> int:
    """The size of a part, if that lies before the record's end."""
    if size > end - stream.position or stream.position > end:
        raise ValueError(f"a part of {size} bytes where {end - stream.position} are left")
    return size


def _too_many(count: int, size: int) -> str:
    return f"{count} headers of {size} bytes; at most {MOST_HEADERS} of {MOST_HEADER_BYTES} are read"


def _headers(buffer: bytearray, pos: int, count: int) -> tuple[Headers, int]:
    """The headers that begin there, and where they end. What of a name is no UTF-8 is replaced, as Java does."""
    if count < 0:
        raise ValueError(f"{count} headers")
    headers: Headers = []
    for _ in range(count):
        size, pos = decode_varint(buffer, pos)
        if size < 0:
            raise ValueError("a header without a name")
        name = buffer[pos : pos + size].decode("utf-8", "replace")
        pos += size
        size, pos = decode_varint(buffer, pos)
        if size < 0:
            headers.append((name, None))
        else:
            headers.append((name, bytes(buffer[pos : pos + size])))
            pos += size
    return headers, pos
