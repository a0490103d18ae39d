"""Batches of every codec, whole, huge and broken: each record comes, and no more is held than one of them."""

import struct
import tracemalloc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.record.memory_records import MemoryRecords

from consumer.dead_letter import LeftOut, left_out_of
from consumer.kafka import decompress as stream
from consumer.kafka import unpack
from consumer.kafka.bounded_consumer import POLL_BYTES, _Batches, _PartitionRecords
from consumer.kafka.unpack import MOST_HEADER_BYTES, MOST_HEADERS, Batch
from tests.batches import batch, bomb, hash_of_zeros, pack, record, sized, varint

CODECS = ("none", "gzip", "snappy", "snappy-raw", "lz4", "zstd")
PACKED = CODECS[1:]
MB = 2**20


def batches(data: bytes) -> Any:
    found = MemoryRecords(data)
    while (each := found.next_batch()) is not None:
        assert each.validate_crc()
        yield each


def unpacked(data: bytes, largest: int = 16 * MB) -> list[Any]:
    return [found for each in batches(data) for found in Batch(each, largest)]


def fields(found: Any) -> tuple[Any, ...]:
    """All that kafka-python's consumer looks at."""
    names = "size_in_bytes", "offset", "timestamp", "timestamp_type", "key", "value", "headers", "checksum"
    return tuple(getattr(found, name) for name in names)


def left_out(found: Any) -> LeftOut:
    said = left_out_of(found)
    assert said is not None
    return said


def ordinary() -> list[bytes]:
    return [
        record(0, b"17", b"\xff\xd8" * 500, [(b"city", b"london"), (b"caption", "köprü 🌉".encode())], since=5),
        record(1, None, b"value"),
        record(2, b"key", None, [(b"n", None), (b"", b""), (b"n", b"\xff\0")], since=-7),
        record(3, b"", b""),
        record(4, b"k" * 300, bytes(200_000), since=2**40),
    ]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("attributes", [0, 0x08], ids=["create time", "append time"])
def test_an_ordinary_batch_is_what_kafka_python_makes_of_it(codec: str, attributes: int) -> None:
    data = batch(ordinary(), 5, codec, base=1000, attributes=attributes)
    data += batch([record(0, b"next", b"batch")], 1, codec, base=1005)

    theirs = [fields(found) for each in batches(data) for found in each]

    assert len(theirs) == 6
    assert [fields(found) for found in unpacked(data)] == theirs


@pytest.mark.parametrize("codec", PACKED)
def test_a_record_that_is_too_large_comes_with_its_size_and_hash_alone(codec: str) -> None:
    size = 3 * MB
    pieces = [record(0, b"before", b"1"), *bomb(1, b"bomb", size, [(b"city", b"london")]), record(2, b"after", b"2")]

    before, culprit, after = unpacked(batch(pieces, 3, codec), largest=MB)

    assert [(found.key, found.value) for found in (before, after)] == [(b"before", b"1"), (b"after", b"2")]
    assert (culprit.offset, culprit.key, culprit.value) == (1, b"bomb", None)
    assert culprit.headers == [("city", b"london")]
    said = left_out(culprit)
    assert said.reason == "record_too_large"
    assert (said.value_bytes, said.value_sha256) == (size, hash_of_zeros(size))
    assert (said.key_bytes, said.header_count, said.last_offset) == (None, None, None)


@contextmanager
def holding_less_than(most: int) -> Iterator[None]:
    """At no moment of the block are so many bytes held."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_a_bomb_is_never_held(codec: str) -> None:
    (packed,) = batches(batch(bomb(0, b"bomb", 100 * MB), 1, codec))

    with holding_less_than(4 * MB):
        (culprit,) = Batch(packed, MB)

    assert left_out(culprit).value_bytes == 100 * MB


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_of_many_large_records_one_is_held_at_a_time(codec: str) -> None:
    size = 4 * MB
    data = batch((piece for number in range(20) for piece in bomb(number, b"large", size)), 20, codec)
    (packed,) = batches(data)

    with holding_less_than(5 * size):
        sizes = [len(found.value) for found in Batch(packed, 5 * MB)]

    assert sizes == [size] * 20


def test_a_key_that_is_too_long_for_a_dead_letter_is_hashed_as_it_goes_by() -> None:
    size = 2 * MB
    pieces = [record(0, bytes(size), bytes(size), [(b"n", b"v")])]

    (culprit,) = unpacked(batch(pieces, 1, "gzip"), largest=MB)

    assert culprit.key == f"sha256:{hash_of_zeros(size)}".encode()
    assert left_out(culprit).key_bytes == left_out(culprit).value_bytes == size
    assert culprit.headers == [("n", b"v")]


@pytest.mark.parametrize("codec", ["none", "zstd"])
@pytest.mark.parametrize(
    "headers",
    [[(b"n", b"v")] * (MOST_HEADERS + 1), [(b"caption", bytes(MOST_HEADER_BYTES))]],
    ids=["too many", "too large"],
)
def test_headers_beyond_the_bounds_are_left_out_and_the_rest_is_there(
    codec: str, headers: list[tuple[bytes, bytes]]
) -> None:
    pieces = [record(0, b"culprit", b"value", headers), record(1, b"after", b"2")]

    culprit, after = unpacked(batch(pieces, 2, codec))

    assert (culprit.key, culprit.value, culprit.headers) == (b"culprit", b"value", [])
    said = left_out(culprit)
    assert (said.reason, said.value_bytes) == ("record_too_large", None)
    size = sum(len(sized(name) + sized(value)) for name, value in headers)
    assert (said.header_count, said.header_bytes) == (len(headers), size)
    assert after.key == b"after"


def test_as_many_headers_as_are_allowed_are_all_there() -> None:
    many = [(b"%d" % number, b"v") for number in range(MOST_HEADERS)]
    (found,) = unpacked(batch([record(0, b"k", b"v", many)], 1))
    assert [name.encode() for name, _ in found.headers] == [name for name, _ in many]
    assert left_out_of(found) is None


@pytest.mark.parametrize("codec", ["none", "gzip"])
def test_a_header_name_that_is_no_text_and_attributes_that_are_none_do_no_harm(codec: str) -> None:
    pieces = [record(0, b"k", b"v", [(b"a\xffb", b"x"), (b"city", b"london")], attributes=b"\xff")]

    (found,) = unpacked(batch(pieces, 1, codec))

    assert (found.key, found.value, found.headers) == (b"k", b"v", [("a\ufffdb", b"x"), ("city", b"london")])


def broken_records() -> dict[str, bytes]:
    """Records that claim wrong things about their parts, but not about their length."""

    def of(body: bytes) -> bytes:
        return varint(len(body)) + body

    head = b"\0" + varint(0) + varint(1)
    return {
        "a key larger than the record": of(head + varint(2**20) + b"k" + varint(0) + varint(0)),
        "a value larger than the record": of(head + varint(0) + varint(2**20) + varint(0)),
        "a value of 2 ** 60 bytes": of(head + varint(0) + varint(2**60)),
        "fewer headers than it says": record(1, b"k", b"v", [(b"n", b"v")], count=900),
        "more headers than it says": record(1, b"k", b"v", [(b"n", b"v")] * 3, count=1),
        "a negative number of headers": record(1, b"k", b"v", count=-5),
        "a header without a name": of(head + varint(0) + varint(0) + varint(1) + varint(-1) + varint(0)),
        "a number that never ends": of(head + b"\xff" * 20),
        "another record's offset": record(0, b"k", b"v"),
        "an offset beyond the batch": record(77, b"k", b"v"),
        "nothing": of(b""),
    }


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("broken", broken_records().values(), ids=list(broken_records()))
@pytest.mark.parametrize("largest", [MB, 0], ids=["held", "passed over"])
def test_a_record_that_is_broken_within_itself_hurts_no_other(codec: str, broken: bytes, largest: int) -> None:
    pieces = [record(0, b"before", b"1"), broken, record(2, b"after", b"2")]

    before, culprit, after = unpacked(batch(pieces, 3, codec, base=50), largest)

    assert [found.key for found in (before, after)] == [b"before", b"after"]
    assert (culprit.offset, culprit.key, culprit.value, culprit.headers) == (51, None, None, [])
    said = left_out(culprit)
    assert (said.reason, said.last_offset) == ("bad_record", None)
    assert said.value_bytes is not None


def test_a_record_that_is_broken_within_itself_is_told_by_its_hash() -> None:
    zeros = bytes(1000)  # of a record: offset 0, no key, no value, no headers, and then too much
    (culprit,) = unpacked(batch([varint(1000) + zeros], 1))
    assert (left_out(culprit).value_bytes, left_out(culprit).value_sha256) == (1000, hash_of_zeros(1000))


def ends_early(codec: str) -> dict[str, bytes]:
    """The packed bytes of batches of four records, of which only the first can be told apart."""
    first = record(0, b"before", b"1")
    packed = pack([first, record(1, b"k", bytes(range(256)) * 4000)], codec)
    return {
        "a negative length": pack([first, varint(-9), bytes(100)], codec),
        "a length beyond the batch": pack([first, varint(2**30), bytes(100)], codec),
        "a length that never ends": pack([first, b"\xff" * 20], codec),
        "fewer records than it says": pack([first], codec),
        "cut off": packed[: -len(packed) // 2],
    }


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("how", ends_early("none"))
def test_where_the_rest_cannot_be_told_apart_one_record_stands_for_it(codec: str, how: str) -> None:
    data = batch([], 4, codec, base=50, packed=ends_early(codec)[how])
    data += batch([record(0, b"next", b"batch")], 1, base=54)

    *before, rest, following = unpacked(data, largest=MB)

    assert [found.key for found in before] in ([b"before"], [])  # a codec may give nothing of what is cut off
    assert following.key == b"next"
    assert (rest.offset, rest.key, rest.value) == (50 + len(before), None, None)
    assert (left_out(rest).reason, left_out(rest).last_offset) == ("bad_record", 53)
    assert len(before) == 1 or how == "cut off"


@pytest.mark.parametrize("codec", ["gzip", "lz4"])
def test_what_follows_the_packed_records_hurts_none_of_them(codec: str) -> None:
    packed = pack(ordinary(), codec) + b"something else"
    assert len([found for found in unpacked(batch([], 5, codec, packed=packed)) if left_out_of(found) is None]) == 5


def test_packed_bytes_that_are_none_and_codecs_that_there_are_not_are_a_rest_too() -> None:
    unknown = bytearray(batch([record(0, b"k", b"v")], 1))
    unknown[22] = 7
    for data in (batch([], 1, codec, packed=b"nonsense" * 9) for codec in PACKED):
        (rest,) = unpacked(data)
        assert left_out(rest).last_offset == 0
    (rest,) = Batch(MemoryRecords(bytes(unknown)).next_batch())
    assert "there is no codec 7" in left_out(rest).message


def test_a_block_of_snappy_that_claims_gigabytes_is_not_believed() -> None:
    claimed = b"\xff\xff\xff\xff\x0f" + b"\0a"
    for packed in (claimed, b"\x82SNAPPY\0" + struct.pack(">iii", 1, 1, len(claimed)) + claimed):
        (rest,) = unpacked(batch([], 1, "snappy", packed=packed))
        assert "a block of 4294967295 bytes" in left_out(rest).message


def test_a_batch_that_unpacks_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "BATCH_BYTES", 8 * MB)
    pieces = [record(0, b"before", b"1"), *bomb(1, b"small enough", 2 * MB), *bomb(2, b"bomb", 30 * MB)]

    before, large, rest = unpacked(batch(pieces, 9, "zstd"), largest=MB)

    assert (before.key, large.key) == (b"before", b"small enough")
    said = left_out(rest)
    assert (rest.offset, said.reason, said.last_offset) == (2, "record_too_large", 8)
    assert 8 * MB < rest.size_in_bytes < 9 * MB  # a poll counts what it cost


@pytest.mark.parametrize("codec", CODECS)
def test_no_more_records_come_than_the_batch_has_offsets(codec: str) -> None:
    pieces = [record(0, b"a", b"1"), record(1, b"b", b"2"), record(2, b"c", b"3")]
    assert [found.offset for found in unpacked(batch(pieces, 3, codec, last=1))] == [0, 1]


def test_memory_that_is_short_is_no_fault_of_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(unpack, "_headers", fail)
    with pytest.raises(MemoryError):
        unpacked(batch([record(0, b"k", b"v", [(b"n", b"v")])], 1))


def taken(data: bytes, offset: int, room: int = POLL_BYTES, largest: int = MB, **options: Any) -> Iterable[list[Any]]:
    """What one `take` after the other gives of an answer that begins at this offset."""
    part = _PartitionRecords(offset, TopicPartition("posts", 0), _Batches(MemoryRecords(data), largest), **options)
    while part:
        part.room = room
        if records := part.take(2):
            yield records
    assert part.next_fetch_offset == 8 if not options else True


def eight(codec: str) -> bytes:
    """Two batches of four records, each second record too large."""
    pieces = [
        piece
        for number in range(4)
        for piece in ([record(number, b"%d" % number, b"v")] if number % 2 == 0 else bomb(number, b"bomb", 2 * MB))
    ]
    return batch(pieces, 4, codec) + batch(pieces, 4, codec, base=4)


@pytest.mark.parametrize("codec", PACKED)
@pytest.mark.parametrize("offset", range(8))
def test_reading_goes_on_in_the_middle_of_a_batch(codec: str, offset: int) -> None:
    read = [found for records in taken(eight(codec), offset) for found in records]

    assert [found.offset for found in read] == list(range(offset, 8))
    assert [left_out_of(found) is not None for found in read] == [found.offset % 2 == 1 for found in read]


def test_reading_goes_on_behind_a_record_that_stands_for_many() -> None:
    data = batch([], 4, "zstd", packed=pack([record(0, b"a", b"1"), b"\xff" * 20], "zstd"))
    data += batch([record(number, b"next", b"1") for number in range(4)], 4, base=4)

    for offset, expected in ((0, [0, 1, 4, 5, 6, 7]), (1, [1, 4, 5, 6, 7]), (2, [4, 5, 6, 7])):
        assert [found.offset for records in taken(data, offset) for found in records] == expected


def test_a_poll_ends_with_the_record_that_fills_its_room() -> None:
    sizes = [len(records) for records in taken(eight("zstd"), 0, room=MB, largest=10 * MB)]
    assert sizes == [2, 2, 2, 2]
    sizes = [len(records) for records in taken(eight("zstd"), 1, room=MB, largest=10 * MB)]
    assert sizes == [1, 2, 2, 2]


@pytest.mark.parametrize("codec", CODECS)
def test_what_was_aborted_does_not_come_and_is_not_unpacked(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def transactional(records: list[bytes], producer: int, base: int, control: bool = False) -> bytes:
        data = bytearray(batch(records, len(records), "none" if control else codec, base=base))
        struct.pack_into(">h", data, 21, data[22] | 0x10 | (0x20 if control else 0))
        struct.pack_into(">qhi", data, 43, producer, 0, 0)
        return bytes(data)

    def marker(kind: int) -> list[bytes]:
        return [record(0, struct.pack(">hh", 0, kind), b"\0" * 6)]

    posts = [record(0, b"a", b"1"), record(1, b"b", b"2")]
    data = transactional(posts, 7, 0) + transactional(posts, 8, 2) + transactional(marker(0), 7, 4, control=True)
    data += transactional(marker(1), 8, 5, control=True) + transactional(posts, 7, 6)
    opened: list[int] = []
    iterate = unpack.Batch.__iter__

    def counted(each: Batch) -> Any:
        opened.append(each.base_offset)
        return iterate(each)

    monkeypatch.setattr(unpack.Batch, "__iter__", counted)

    class Aborted:
        producer_id, first_offset = 7, 0

    options: Any = {"check_crcs": False, "isolation_level": 1, "aborted_transactions": [Aborted()]}
    read = [found.offset for records in taken(data, 0, **options) for found in records]

    theirs = Fetcher.PartitionRecords(0, TopicPartition("posts", 0), MemoryRecords(data), **options)
    assert read == [found.offset for found in theirs.take()] == [2, 3, 6, 7]
    assert opened == [2, 6]


def test_a_checksum_that_is_wrong_is_an_error_as_ever() -> None:
    data = bytearray(batch([record(0, b"k", b"value")], 1))
    data[-1] ^= 1
    with pytest.raises(Exception, match="failed crc check"):
        list(taken(bytes(data), 0))


def test_snappy_blocks_are_read_one_by_one() -> None:
    read = stream._joined(iter([b"abc", b"", b"de"]))
    assert b"".join(iter(lambda: read(2), b"")) == b"abcde"
