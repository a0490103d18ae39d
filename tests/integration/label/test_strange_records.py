"""Records that no honest client writes: the culprit is a dead letter, its neighbours are labelled."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest
from kafka import KafkaAdminClient, TopicPartition

from consumer.dead_letter import LEFT_OUT, PREFIX, REASON, SOURCE, SOURCE_TOPIC_ID, short_key
from consumer.offsets import topic_id_of
from consumer.unpack import MOST_HEADER_BYTES, MOST_HEADERS
from deploy.local.stack import Stack
from tests.batches import Header, batch, bomb, hash_of_zeros, produce, record, sized, varint
from tests.conftest import RunCli, Topics
from tests.integration.label.test_offsets import ONCE, recreate
from tests.wire import configure, picture, post, read_all, write

CITY: Sequence[Header] = [(b"city", b"london")]
LIMIT = 1_000_000
"""max.message.bytes of the input, where a test sends bombs."""
SIZE = 3 * LIMIT
"""Of a bomb."""
TOO_LARGE = 10
"""The broker's error: MESSAGE_TOO_LARGE."""


@pytest.fixture
def admin(stack: Stack) -> Iterator[KafkaAdminClient]:
    with closing(KafkaAdminClient(bootstrap_servers=stack.broker.address)) as client:
        yield client


@pytest.fixture
def compressed(stack: Stack, topics: Topics) -> Topics:
    """Topics whose input keeps batches as their senders have compressed them."""
    configure(stack, topics.input, compression_type="producer", max_message_bytes=LIMIT)
    return topics


def good(delta: int, name: str) -> bytes:
    return record(delta, name.encode(), picture(), CITY)


def label(run_cli: RunCli, topics: Topics, *flags: str) -> str:
    """Label to the end; what the worker wrote."""
    ended = run_cli("tests.light", *ONCE, *flags, env=topics.environment)
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


def replay(run_cli: RunCli, topics: Topics, *flags: str) -> str:
    ended = run_cli("consumer", "dead-letters", "replay", *flags, env=topics.environment)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def labelled(stack: Stack, topics: Topics) -> list[str]:
    return sorted(each.key.decode() for each in read_all(stack, topics.output))


def said(dead: Any) -> dict[str, str]:
    return {name: value.decode() for name, value in dead.headers}


def left_out(dead: Any) -> dict[str, str]:
    """What a dead letter says that it does without."""
    return {field: said(dead)[name] for field, name in LEFT_OUT.items() if name in said(dead)}


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_a_bomb_is_a_dead_letter_without_its_value_once_and_its_neighbours_are_labelled(
    stack: Stack, compressed: Topics, run_cli: RunCli, admin: KafkaAdminClient, codec: str
) -> None:
    pieces = [good(0, "before"), *bomb(1, b"bomb", SIZE, CITY), good(2, "after")]
    assert produce(stack, compressed.input, batch(pieces, 3, codec)) == 0
    write(stack, compressed.input, [post("next")])

    first = label(run_cli, compressed)
    label(run_cli, compressed)

    assert labelled(stack, compressed) == ["after", "before", "next"]
    (dead,) = read_all(stack, compressed.dead_letter)
    assert (dead.key, dead.value, dead.headers[0]) == (b"bomb", None, ("city", b"london"))
    assert left_out(dead) == {"value_bytes": str(SIZE), "value_sha256": hash_of_zeros(SIZE)}
    assert (said(dead)[REASON], said(dead)[f"{PREFIX}stage"]) == ("record_too_large", "read")
    assert said(dead)[SOURCE] == f"/placestream/placestream/{compressed.input}/0/1"
    assert said(dead)[SOURCE_TOPIC_ID] == topic_id_of(admin, compressed.input)
    assert "set compression.type to uncompressed" in first


def test_a_topic_as_producer_topics_creates_it_takes_no_bomb(stack: Stack, topics: Topics, run_cli: RunCli) -> None:
    for size in (17 * 10**6, 200 * 10**6):
        for codec in ("gzip", "zstd"):
            assert produce(stack, topics.input, batch(bomb(0, b"bomb", size, CITY), 1, codec)) == TOO_LARGE
    assert produce(stack, topics.input, batch([good(0, "packed")], 1, "zstd")) == 0

    assert "compression.type" not in label(run_cli, topics)
    assert labelled(stack, topics) == ["packed"]


def test_many_large_records_out_of_a_small_batch_come_out_one_by_one(
    stack: Stack, topics: Topics, run_cli: RunCli
) -> None:
    configure(stack, topics.input, compression_type="producer")
    pieces = (piece for number in range(20) for piece in bomb(number, b"%d" % number, 15 * 10**6, CITY))
    assert produce(stack, topics.input, batch(pieces, 20, "zstd")) == 0
    write(stack, topics.input, [post("next")])

    written = label(run_cli, topics)

    assert labelled(stack, topics) == ["next"]
    dead = read_all(stack, topics.dead_letter)
    assert [each.key for each in dead] == [b"%d" % number for number in range(20)]
    assert {len(each.value) for each in dead} == {15 * 10**6}
    published = [line for line in written.splitlines() if "published" in line and "posts=" in line]
    assert len(published) >= 3  # 128 MiB each: of one batch of 20 it would be 300 MB


HEADERS: dict[str, Sequence[Header]] = {
    "too many": [*CITY, *[(b"n", b"v")] * MOST_HEADERS],
    "a million": [(b"", None)] * 10**6,
    "too large": [*CITY, (b"caption", b"red " * (MOST_HEADER_BYTES // 4))],
}


@pytest.mark.parametrize("headers", HEADERS.values(), ids=list(HEADERS))
def test_headers_without_bound_are_left_out_of_the_dead_letter(
    stack: Stack, topics: Topics, run_cli: RunCli, headers: Sequence[Header]
) -> None:
    pieces = [good(0, "before"), record(1, b"culprit", picture(), headers), good(2, "after")]
    assert produce(stack, topics.input, batch(pieces, 3)) == 0

    label(run_cli, topics)

    assert labelled(stack, topics) == ["after", "before"]
    (dead,) = read_all(stack, topics.dead_letter)
    assert (dead.key, dead.value) == (b"culprit", picture())
    size = sum(len(sized(name) + sized(value)) for name, value in headers)
    assert left_out(dead) == {"header_count": str(len(headers)), "header_bytes": str(size)}
    assert said(dead)[REASON] == "record_too_large"
    assert "passed over 1: not the whole post, which cannot be read now either" in replay(run_cli, topics)


@pytest.mark.parametrize("codec", ["none", "gzip"])
def test_a_header_name_that_is_no_text_and_strange_attributes_hurt_nothing(
    stack: Stack, compressed: Topics, run_cli: RunCli, codec: str
) -> None:
    latin: Sequence[Header] = [*CITY, (b"caf\xe9", b"au lait")]
    pieces = [
        record(0, b"latin", picture(), latin),
        record(1, b"attributes", picture(), CITY, attributes=b"\xff"),
        record(2, b"dead", b"no picture", latin),
    ]
    assert produce(stack, compressed.input, batch(pieces, 3, codec)) == 0

    label(run_cli, compressed)

    assert labelled(stack, compressed) == ["attributes", "latin"]
    (dead,) = read_all(stack, compressed.dead_letter)
    assert dead.headers[:2] == [("city", b"london"), ("caf\ufffd", b"au lait")]
    assert left_out(dead) == {}


@pytest.mark.parametrize("key", [b"bomb", b"k" * 5_000, None], ids=["short", "long", "none"])
def test_what_the_broker_forgot_of_a_bomb_does_not_come_out_twice(
    stack: Stack, compressed: Topics, run_cli: RunCli, admin: KafkaAdminClient, key: bytes | None
) -> None:
    begin = b"\0" + varint(0) + varint(1) + sized(key) + varint(SIZE)
    culprit: Iterable[bytes] = [varint(len(begin) + SIZE + 1) + begin, bytes(SIZE), varint(0)]
    assert produce(stack, compressed.input, batch([good(0, "before"), *culprit], 2, "zstd")) == 0
    label(run_cli, compressed)
    admin.delete_group_offsets("placestream", [TopicPartition(compressed.input, 0)])
    write(stack, compressed.input, [post("next")])

    again = label(run_cli, compressed)

    assert "going_on_at=2" in again
    assert labelled(stack, compressed) == ["before", "next"]
    (dead,) = read_all(stack, compressed.dead_letter)
    assert dead.key == short_key(key)
    assert left_out(dead).get("key_bytes") == (str(len(key)) if key and len(key) > 4096 else None)


def test_a_replay_fetches_the_original_when_the_limits_have_room_for_it(
    stack: Stack, compressed: Topics, run_cli: RunCli
) -> None:
    value = picture() + bytes(SIZE)
    pieces = [record(0, b"large", value, [*CITY, (b"x", b"1"), (b"x", b"2")]), good(1, "other")]
    assert produce(stack, compressed.input, batch(pieces, 2, "gzip")) == 0
    label(run_cli, compressed)

    assert "passed over 1: too large for" in replay(run_cli, compressed)
    assert labelled(stack, compressed) == ["other"]
    configure(stack, compressed.input, max_message_bytes=2 * SIZE)
    assert "would replay 1" in replay(run_cli, compressed, "--dry-run")
    assert "replayed 1 dead letter" in replay(run_cli, compressed)
    assert "passed over 1: replayed before" in replay(run_cli, compressed)

    *_, back = read_all(stack, compressed.input)
    assert (back.key, back.value, back.partition) == (b"large", value, 0)
    assert back.headers[:3] == [("city", b"london"), ("x", b"1"), ("x", b"2")]
    assert said(back)[f"{PREFIX}offset"] == "0"
    assert not set(LEFT_OUT.values()) & said(back).keys()
    label(run_cli, compressed)
    assert labelled(stack, compressed) == ["large", "other"]
    assert len(read_all(stack, compressed.dead_letter)) == 1


def test_a_replay_refuses_what_it_cannot_fetch_any_more(
    stack: Stack, compressed: Topics, run_cli: RunCli, admin: KafkaAdminClient
) -> None:
    assert produce(stack, compressed.input, batch([*bomb(0, b"bomb", SIZE, CITY), good(1, "good")], 2, "gzip")) == 0
    label(run_cli, compressed)
    configure(stack, compressed.input, max_message_bytes=2 * SIZE)

    admin.delete_records({TopicPartition(compressed.input, 0): 1})
    assert f"passed over 1: not the whole post, which is no longer in {compressed.input}" in replay(run_cli, compressed)

    admin.delete_topics([compressed.input])
    recreate(admin, compressed.input)
    write(stack, compressed.input, [post("bomb")])
    assert f"the topic {compressed.input} that had it was deleted" in replay(run_cli, compressed)
    assert len(read_all(stack, compressed.input)) == 1
    shown = run_cli("consumer", "dead-letters", "show", "bomb", env=compressed.environment).stdout
    assert f"value: left out, {SIZE} bytes" in shown
    kept = run_cli("consumer", "dead-letters", "show", "bomb", "--save", "x.jpg", env=compressed.environment)
    assert kept.returncode == 1
    assert "does without the value" in kept.stderr
