"""Records that no honest client writes: the culprit is a dead letter, its neighbours are labelled."""

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from kafka import KafkaAdminClient, TopicPartition

from consumer.dead_letter import LEFT_OUT, PREFIX, REASON, SOURCE, short_key
from consumer.kafka.offsets import topic_id_of
from consumer.kafka.unpack import MOST_HEADER_BYTES, MOST_HEADERS
from consumer.origin import SOURCE_TOPIC_ID
from deploy.local.stack import Stack
from tests.batches import Header, batch, bomb, hash_of_zeros, pack, produce, record, sized, varint
from tests.conftest import RunCli, Topics
from tests.integration.consumer.dead_letters.letters import replay
from tests.integration.consumer.label.conftest import label, labelled
from tests.wire import configure, picture, post, read_all, recreate, write

CITY: Sequence[Header] = [(b"city", b"london")]
LIMIT = 1_000_000
"""max.message.bytes of the input, where a test sends bombs."""
SIZE = 3 * LIMIT
"""Of a bomb."""


@pytest.fixture
def small(stack: Stack, topics: Topics) -> Topics:
    """Topics whose input takes only small records."""
    configure(stack, topics.input, max_message_bytes=LIMIT)
    return topics


def good(delta: int, name: str) -> bytes:
    return record(delta, name.encode(), picture(), CITY)


def said(dead: Any) -> dict[str, str]:
    return {name: value.decode() for name, value in dead.headers}


def left_out(dead: Any) -> dict[str, str]:
    """What a dead letter says that it does without."""
    return {field: said(dead)[name] for field, name in LEFT_OUT.items() if name in said(dead)}


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_a_bomb_is_a_dead_letter_without_its_value_once_and_its_neighbours_are_labelled(
    stack: Stack, small: Topics, run_cli: RunCli, admin: KafkaAdminClient, codec: str
) -> None:
    pieces = [good(0, "before"), *bomb(1, b"bomb", SIZE, CITY), good(2, "after")]
    assert produce(stack, small.input, batch(pieces, 3, codec)) == 0
    write(stack, small.input, [post("next")])

    label(run_cli, small)
    label(run_cli, small)

    assert labelled(stack, small) == ["after", "before", "next"]
    (dead,) = read_all(stack, small.dead_letter)
    assert (dead.key, dead.value, dead.headers[0]) == (b"bomb", None, ("city", b"london"))
    assert left_out(dead) == {"value_bytes": str(SIZE), "value_sha256": hash_of_zeros(SIZE)}
    assert (said(dead)[REASON], said(dead)[f"{PREFIX}stage"]) == ("record_too_large", "read")
    assert said(dead)[SOURCE] == f"/placestream/{small.input}/{small.input}/0/1"
    assert said(dead)[SOURCE_TOPIC_ID] == topic_id_of(admin, small.input)


def test_a_topic_whose_broker_unpacks_what_comes_is_warned_of(stack: Stack, topics: Topics, run_cli: RunCli) -> None:
    assert "compression.type" not in label(run_cli, topics)
    configure(stack, topics.input, compression_type="uncompressed")

    written = label(run_cli, topics)

    assert "set compression.type to producer" in written
    assert "compression_type=uncompressed" in written


def test_at_default_limits_600_mb_of_zeros_are_a_dead_letter_too(stack: Stack, topics: Topics, run_cli: RunCli) -> None:
    pieces = [good(0, "before"), *bomb(1, b"bomb", 600 * 10**6, CITY), good(2, "after")]
    assert produce(stack, topics.input, batch(pieces, 3, "zstd")) == 0

    label(run_cli, topics)

    assert labelled(stack, topics) == ["after", "before"]
    (dead,) = read_all(stack, topics.dead_letter)
    assert left_out(dead)["value_bytes"] == "600000000"


def test_many_large_records_out_of_a_small_batch_come_out_one_by_one(
    stack: Stack, topics: Topics, run_cli: RunCli
) -> None:
    pieces = (piece for number in range(12) for piece in bomb(number, b"%d" % number, 15 * 10**6, CITY))
    assert produce(stack, topics.input, batch(pieces, 12, "zstd")) == 0
    write(stack, topics.input, [post("next")])

    written = label(run_cli, topics)

    assert labelled(stack, topics) == ["next"]
    dead = read_all(stack, topics.dead_letter)
    assert [each.key for each in dead] == [b"%d" % number for number in range(12)]
    assert {len(each.value) for each in dead} == {15 * 10**6}
    published = [line for line in written.splitlines() if "published" in line and "posts=" in line]
    assert len(published) > 1  # 180 MB; one batch ends at 128 MiB


HEADERS: dict[str, Sequence[Header]] = {
    "too many": [*CITY, *[(b"n", b"v")] * MOST_HEADERS],
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


@pytest.mark.parametrize(("codec", "count"), [("none", 8 * 10**6), ("zstd", 20 * 10**6)])
def test_as_many_headers_as_can_be_sent_end_neither_the_broker_nor_a_worker(
    stack: Stack, topics: Topics, run_cli: RunCli, codec: str, count: int
) -> None:
    begin = b"\0" + varint(0) + varint(1) + sized(b"culprit") + sized(b"value") + varint(count)
    culprit = [varint(len(begin) + 2 * count) + begin, *[b"\0\1" * (count // 100)] * 100]
    assert produce(stack, topics.input, batch([good(0, "before"), *culprit, good(2, "after")], 3, codec)) == 0

    label(run_cli, topics)

    assert labelled(stack, topics) == ["after", "before"]
    (dead,) = read_all(stack, topics.dead_letter)
    assert dead.key == b"culprit"
    assert (left_out(dead)["header_count"], left_out(dead)["header_bytes"]) == (str(count), str(2 * count))


@pytest.mark.parametrize("delta", [0, 5])
def test_a_record_that_claims_the_offset_of_another_hurts_no_other(
    stack: Stack, topics: Topics, run_cli: RunCli, delta: int
) -> None:
    pieces = [good(0, "before"), good(delta, "culprit"), good(2, "after")]
    assert produce(stack, topics.input, batch(pieces, 3)) == 0  # the broker does not look at it, unless it is packed
    write(stack, topics.input, [post("next")])

    label(run_cli, topics)
    label(run_cli, topics)

    assert labelled(stack, topics) == ["after", "before", "next"]
    (dead,) = read_all(stack, topics.dead_letter)
    assert (said(dead)[REASON], said(dead)[f"{PREFIX}offset"]) == ("bad_record", "1")


@pytest.mark.parametrize("codec", ["gzip", "lz4"])
def test_what_follows_the_packed_records_hurts_none_of_them(
    stack: Stack, topics: Topics, run_cli: RunCli, codec: str
) -> None:
    packed = pack([good(0, "before"), good(1, "after")], codec) + b"something else"
    assert produce(stack, topics.input, batch([], 2, codec, packed=packed)) == 0

    label(run_cli, topics)

    assert labelled(stack, topics) == ["after", "before"]


@pytest.mark.parametrize("codec", ["none", "gzip"])
def test_a_header_name_that_is_no_text_and_strange_attributes_hurt_nothing(
    stack: Stack, small: Topics, run_cli: RunCli, codec: str
) -> None:
    latin: Sequence[Header] = [*CITY, (b"caf\xe9", b"au lait")]
    pieces = [
        record(0, b"latin", picture(), latin),
        record(1, b"attributes", picture(), CITY, attributes=b"\xff"),
        record(2, b"dead", b"no picture", latin),
    ]
    assert produce(stack, small.input, batch(pieces, 3, codec)) == 0

    label(run_cli, small)

    assert labelled(stack, small) == ["attributes", "latin"]
    (dead,) = read_all(stack, small.dead_letter)
    assert dead.headers[:2] == [("city", b"london"), ("caf\ufffd", b"au lait")]
    assert left_out(dead) == {}


@pytest.mark.parametrize("key", [b"bomb", b"k" * 5_000, None], ids=["short", "long", "none"])
def test_what_the_broker_forgot_of_a_bomb_does_not_come_out_twice(
    stack: Stack, small: Topics, run_cli: RunCli, admin: KafkaAdminClient, key: bytes | None
) -> None:
    begin = b"\0" + varint(0) + varint(1) + sized(key) + varint(SIZE)
    culprit: Iterable[bytes] = [varint(len(begin) + SIZE + 1) + begin, bytes(SIZE), varint(0)]
    assert produce(stack, small.input, batch([good(0, "before"), *culprit], 2, "zstd")) == 0
    label(run_cli, small)
    admin.delete_group_offsets(small.input, [TopicPartition(small.input, 0)])
    write(stack, small.input, [post("next")])

    again = label(run_cli, small)

    assert "going_on_at=2" in again
    assert labelled(stack, small) == ["before", "next"]
    (dead,) = read_all(stack, small.dead_letter)
    assert dead.key == short_key(key)
    assert left_out(dead).get("key_bytes") == (str(len(key)) if key and len(key) > 4096 else None)


def test_a_replay_fetches_the_original_when_the_limits_have_room_for_it(
    stack: Stack, small: Topics, run_cli: RunCli
) -> None:
    value = picture() + bytes(SIZE)
    pieces = [record(0, b"large", value, [*CITY, (b"x", b"1"), (b"x", b"2")]), good(1, "other")]
    assert produce(stack, small.input, batch(pieces, 2, "gzip")) == 0
    label(run_cli, small)

    assert "passed over 1: too large for" in replay(run_cli, small)
    assert labelled(stack, small) == ["other"]
    configure(stack, small.input, max_message_bytes=2 * SIZE)
    assert "would replay 1" in replay(run_cli, small, "--dry-run")
    assert "replayed 1 dead letter" in replay(run_cli, small)
    assert "passed over 1: replayed before" in replay(run_cli, small)

    *_, back = read_all(stack, small.input)
    assert (back.key, back.value, back.partition) == (b"large", value, 0)
    assert back.headers[:3] == [("city", b"london"), ("x", b"1"), ("x", b"2")]
    assert said(back)[f"{PREFIX}offset"] == "0"
    assert not set(LEFT_OUT.values()) & said(back).keys()
    label(run_cli, small)
    assert labelled(stack, small) == ["large", "other"]
    assert len(read_all(stack, small.dead_letter)) == 1


def test_a_replay_refuses_what_it_cannot_fetch_any_more(
    stack: Stack, small: Topics, run_cli: RunCli, admin: KafkaAdminClient
) -> None:
    assert produce(stack, small.input, batch([*bomb(0, b"bomb", SIZE, CITY), good(1, "good")], 2, "gzip")) == 0
    label(run_cli, small)
    configure(stack, small.input, max_message_bytes=2 * SIZE)

    admin.delete_records({TopicPartition(small.input, 0): 1})
    assert f"passed over 1: not the whole post, which is no longer in {small.input}" in replay(run_cli, small)

    recreate(admin, small.input)
    write(stack, small.input, [post("bomb")])
    assert f"the topic {small.input} that had it was deleted" in replay(run_cli, small)
    assert len(read_all(stack, small.input)) == 1
    shown = run_cli("consumer", "dead-letters", "show", "bomb", env=small.environment).stdout
    assert f"value: left out, {SIZE} bytes" in shown
    kept = run_cli("consumer", "dead-letters", "show", "bomb", "--save", "x.jpg", env=small.environment)
    assert kept.returncode == 1
    assert "does without the value" in kept.stderr
