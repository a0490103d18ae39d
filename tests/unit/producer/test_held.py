from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaTimeoutError, TopicAuthorizationFailedError
from kafka.record.memory_records import MemoryRecordsBuilder

from producer import held as module
from producer.base.errors import CommandError
from producer.dataset.entry import Entry, Refused
from producer.held import check_not_held
from producer.post import Post
from producer.topics import Topic

NOON = 1_796_040_000_000  # 2026-11-30 12:00 UTC


def batch(first: int, posts: Iterable[Post], compression: int = 0) -> bytes:
    """One batch of records whose offsets begin there."""
    builder = MemoryRecordsBuilder(2, compression, 2**24)
    for post in posts:
        key, value, headers = post.to_record()
        builder.append(NOON, key, value, headers)
    builder.close()
    data = bytearray(builder.buffer())
    data[:8] = first.to_bytes(8)
    return bytes(data)


class Log:
    """Partitions as lists of batches: offset -> batch; asked as `fetch_batches` asks a broker."""

    def __init__(self, *partitions: dict[int, bytes], begin: int = 0, end: int = 0) -> None:
        self.partitions, self.begin, self.end = partitions, begin, end
        self.asked: list[tuple[int, int]] = []

    def list_partition_offsets(self, asked: dict[TopicPartition, Any]) -> dict[TopicPartition, Any]:
        return {
            tp: SimpleNamespace(offset=self.begin if spec == OffsetSpec.EARLIEST else self.end)
            for tp, spec in asked.items()
        }

    def fetch(self, admin: Any, partition: TopicPartition, offset: int, most: int) -> bytes:
        self.asked.append((partition.partition, offset))
        batches = self.partitions[partition.partition]
        at = max((first for first in batches if first <= offset), default=None)
        return b"" if at is None else batches[at]


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Any:
    def check(log: Log, *ids: str, city: str = "rome", config: dict[str, str] | None = None) -> None:
        monkeypatch.setattr(module, "fetch_batches", log.fetch)
        topic = Topic("posts", len(log.partitions), 1, config or {})
        check_not_held(log, topic, [Entry(each, city, Path(f"{each}.jpg")) for each in ids])

    return check


def posts(*ids: str, city: str = "rome") -> list[Post]:
    return [Post(each, city, b"\xff\xd8\xff") for each in ids]


def test_a_post_that_the_topic_holds_is_named_with_its_place_and_what_to_do(look: Any) -> None:
    log = Log({}, {10: batch(10, posts("1", "2", "3"))}, begin=10, end=13)
    with pytest.raises(CommandError) as caught:
        look(log, "0", "2", "3")
    assert str(caught.value) == (
        "topic posts already holds post 2 of this dataset (partition 1, offset 11, sent 2026-11-30 12:00 UTC); nothing "
        "was sent, for a second replay doubles every count: --again sends all the same, --start-after ID goes on after "
        "a post"
    )


def test_other_posts_and_the_same_id_in_another_city_are_no_hindrance(look: Any) -> None:
    log = Log({0: batch(0, posts("1", "2"))}, end=2)
    look(log, "3", "4")
    look(log, "1", "2", city="oslo")
    with pytest.raises(CommandError):
        look(log, "1")


def test_of_an_empty_topic_the_dataset_is_not_gone_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def untouched() -> Iterator[Entry | Refused]:
        raise AssertionError("read")
        yield

    check_not_held(Log({}, {}), Topic("posts", 2, 1), untouched())


@pytest.mark.parametrize("share", [0.15, 0.5, 1.0])
@pytest.mark.parametrize("begins_at", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("partitions", [1, 6, 100])
def test_a_replay_of_more_than_a_seventh_of_the_topic_is_seen_wherever_it_lies(
    look: Any, share: float, begins_at: float, partitions: int
) -> None:
    size = 1000
    begin = int(begins_at * (1 - share) * size)
    whose = ["mine" if begin <= n < begin + share * size else "another's" for n in range(size)]
    log = Log(*([{n: batch(n, posts(each)) for n, each in enumerate(whose)}] * partitions), end=size)
    with pytest.raises(CommandError, match="already holds post mine"):
        look(log, "mine")
    assert len(log.asked) <= module.PLACES


def test_batches_that_cannot_be_read_are_passed_over(look: Any) -> None:
    broken = bytearray(batch(0, posts("1")))
    broken[70:] = b"\xff" * len(broken[70:])
    packed = batch(0, [Post("1", "rome", bytes(10_000))], compression=1)
    assert len(packed) < 1_000
    for data in (bytes(broken), bytes(broken[:80]), packed):
        look(Log({0: data}, end=1), "1")


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (TopicAuthorizationFailedError("posts/0"), "READ is not allowed"),
        (KafkaTimeoutError("5 s"), "KafkaTimeoutError: 5 s"),
    ],
)
def test_where_the_topic_cannot_be_read_a_line_says_so_and_the_posts_are_sent(
    look: Any, caplog: pytest.LogCaptureFixture, error: Exception, why: str
) -> None:
    class Refusing(Log):
        def fetch(self, *asked: Any) -> bytes:
            raise error

    look(Refusing({}, end=1), "1")
    assert caplog.messages == [f"topic posts: {why}, so it is not known whether it holds these posts already"]


def test_of_batches_that_the_broker_compresses_nothing_is_known(look: Any, caplog: pytest.LogCaptureFixture) -> None:
    look(Log({}), "1", config={"compression.type": "zstd"})
    assert caplog.messages == [
        "topic posts: its batches are compressed, so it is not known whether it holds these posts already"
    ]


def test_a_giant_dataset_is_not_compared_for_ever(
    look: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST", -1.0)
    look(Log({0: batch(0, posts("1"))}, end=1), "1")
    assert caplog.messages == [
        "topic posts: the dataset was compared with it for -1 s, and goes on, so it is not known whether it holds "
        "these posts already"
    ]
