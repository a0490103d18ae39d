"""What came out already: how far back it is looked for, and that nothing is read twice."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError, UnknownTopicOrPartitionError

from consumer.dead_letter import MAX_KEY, short_key
from consumer.kafka.offsets import ROUND_TRIP_MS
from consumer.label import published
from consumer.label.published import Published
from consumer.label.settings import LabelSettings
from consumer.origin import SOURCE_TOPIC_ID
from tests.unit.consumer.label.records import Record

NOW = 1_700_000_000_000
"""When each post entered, in ms since 1970."""
TOPIC_ID = "c0ffee"
POSTS, LABELS, DEAD = (TopicPartition(topic, 0) for topic in ("posts", "labeled-posts", "posts-dlt"))


def label(offset: int, of: int, group: str = "placestream", topic_id: str = TOPIC_ID) -> Record:
    headers = [("ce_source", f"/placestream/{group}".encode()), ("ce_id", f"posts/0/{of}".encode())]
    if topic_id:
        headers.append((SOURCE_TOPIC_ID, topic_id.encode()))
    return Record("labeled-posts", 0, offset, str(of).encode(), b"", headers, NOW)


def dead_letter(offset: int, of: int) -> Record:
    source = f"/placestream/placestream/posts/0/{of}".encode()
    return Record("posts-dlt", 0, offset, str(of).encode(), b"", [("placestream-source", source)])


@dataclass
class Log:
    """One partition of every topic, and a consumer of them that counts what it reads; a poll takes a second."""

    records: dict[TopicPartition, list[Record]] = field(default_factory=dict)
    ends: dict[TopicPartition, int] = field(default_factory=lambda: {POSTS: 10_000, LABELS: 0, DEAD: 0})
    now: float = 0.0
    at_once: int = 10_000
    read: list[tuple[str, int]] = field(default_factory=list)
    positions: dict[TopicPartition, int] = field(default_factory=dict)
    key_of: Callable[[int], bytes | None] = lambda offset: str(offset).encode()

    def put(self, *records: Record, end: int) -> None:
        output = TopicPartition(records[0].topic, 0)
        self.records.setdefault(output, []).extend(records)
        self.ends[output] = end

    def monotonic(self) -> float:
        return self.now

    def end_offsets(self, partitions: list[TopicPartition], timeout_ms: int) -> dict[TopicPartition, int]:
        return {each: self.ends[each] for each in partitions}

    def beginning_offsets(self, partitions: list[TopicPartition], timeout_ms: int) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.positions = {}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.positions[partition] = offset

    def position(self, partition: TopicPartition, timeout_ms: int) -> int:
        return self.positions[partition]

    def poll(self, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        self.now += 1
        found: dict[TopicPartition, list[Any]] = {}
        for partition, start in self.positions.items():
            stop = min(self.ends[partition], start + self.at_once)
            self.positions[partition] = stop
            if partition == POSTS:
                found[partition] = [Record("posts", 0, start, self.key_of(start), b"")]
                continue
            self.read += [(partition.topic, offset) for offset in range(start, stop)]
            found[partition] = [each for each in self.records.get(partition, []) if start <= each.offset < stop]
        return found


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    log = Log()
    monkeypatch.setattr(published, "build_consumer", lambda *_, **__: log)
    monkeypatch.setattr(published, "time", log)
    return log


@pytest.fixture
def outputs(log: Log) -> Published:
    return Published(LabelSettings.model_validate({}))


def beyond(outputs: Published, committed: int = 0, topic_id: str = TOPIC_ID) -> int:
    """Where the partition goes on."""
    return outputs.beyond({POSTS: committed}, topic_id).get(POSTS, committed)


def test_the_last_label_behind_its_marker_costs_two_offsets(log: Log, outputs: Published) -> None:
    log.put(*(label(offset, of=offset) for offset in range(5000)), end=5001)

    assert beyond(outputs, 4000) == 5000
    assert log.read == [("labeled-posts", 4999), ("labeled-posts", 5000)]


def test_a_dead_letter_behind_the_last_label_counts(log: Log, outputs: Published) -> None:
    log.put(label(0, of=7), end=2)
    log.put(dead_letter(0, of=8), end=2)

    assert beyond(outputs) == 9


@pytest.mark.parametrize(
    ("of", "now", "sent_at", "is_made_of"),
    [
        (TOPIC_ID, TOPIC_ID, NOW - 3_600_000, True),  # a worker's clock that is behind the broker's or the sender's
        ("another", TOPIC_ID, NOW + 1, False),
        ("", TOPIC_ID, NOW, True),  # an older worker's label: only the clocks can tell
        ("", TOPIC_ID, NOW - 1, False),
        (TOPIC_ID, "", NOW, True),  # a broker that gives topics no id
        (TOPIC_ID, "", NOW - 1, False),
    ],
)
def test_the_topic_id_tells_of_which_topic_a_label_was_made_and_clocks_only_where_there_is_none(
    log: Log, outputs: Published, of: str, now: str, sent_at: int, is_made_of: bool
) -> None:
    log.put(replace(label(0, of=7, topic_id=of), timestamp=sent_at), end=2)

    assert beyond(outputs, topic_id=now) == (8 if is_made_of else 0)


LONG = b"k" * (MAX_KEY + 1)


@pytest.mark.parametrize(
    ("of_the_post", "of_the_dead_letter", "is_made_of"),
    [
        (b"8", b"8", True),
        (b"8", b"9", False),
        (b"8", None, False),
        (None, b"8", True),  # the JSON form
        (LONG, short_key(LONG), True),
        (short_key(LONG), LONG, True),  # too large for this reader, and not for the worker's
        (short_key(LONG), short_key(LONG), True),
        (LONG + b"k", short_key(LONG), False),
    ],
)
def test_a_dead_letter_is_made_of_the_post_with_its_key_or_with_the_hash_of_it(
    log: Log, outputs: Published, of_the_post: bytes | None, of_the_dead_letter: bytes | None, is_made_of: bool
) -> None:
    log.key_of = lambda offset: of_the_post
    log.put(replace(dead_letter(0, of=8), key=of_the_dead_letter), end=2)

    assert beyond(outputs) == (9 if is_made_of else 0)


@pytest.mark.parametrize(
    ("of_the_post", "is_made_of"), [(b'"7"', True), (b"\0\0\0\0\0\0\0\7", True), (b'"8"', False), (b'"7', False)]
)
def test_a_label_is_made_of_the_post_whose_key_a_serialiser_has_made_of_its_id(
    log: Log, outputs: Published, of_the_post: bytes, is_made_of: bool
) -> None:
    log.key_of = lambda offset: of_the_post
    log.put(label(0, of=7), end=2)

    assert beyond(outputs) == (8 if is_made_of else 0)


def test_it_is_looked_for_behind_what_others_wrote(log: Log, outputs: Published) -> None:
    log.put(label(0, of=7), *(label(offset, of=100, group="else") for offset in range(1, 4000)), end=4001)

    assert beyond(outputs) == 8


def test_a_later_look_reads_what_is_new_and_remembers_the_rest(log: Log, outputs: Published) -> None:
    log.put(label(0, of=7), *(label(offset, of=100, group="else") for offset in range(1, 4000)), end=4001)
    beyond(outputs)
    log.read.clear()

    assert beyond(outputs) == 8
    assert log.read == []
    log.put(label(4001, of=8), end=4003)
    assert beyond(outputs) == 9
    assert log.read == [("labeled-posts", 4001), ("labeled-posts", 4002)]


def test_dead_letters_of_others_with_their_pictures_are_not_all_read(log: Log, outputs: Published) -> None:
    log.ends[DEAD] = 100_000

    assert beyond(outputs) == 0
    assert {offset for topic, offset in log.read if topic == "posts-dlt"} == set(range(100_000 - 256, 100_000))


def test_an_output_that_is_shorter_now_is_another_one(log: Log, outputs: Published) -> None:
    log.put(label(98, of=50), end=100)
    assert beyond(outputs) == 51
    log.records[LABELS] = []
    log.put(label(0, of=3), end=2)

    assert beyond(outputs) == 4


def test_a_slow_line_is_waited_for_as_long_as_something_comes(log: Log, outputs: Published) -> None:
    log.put(label(0, of=7), end=4000)
    log.at_once = 100

    assert beyond(outputs) == 8
    assert log.now > 5 * ROUND_TRIP_MS / 1000


def test_a_line_on_which_nothing_comes_is_an_error(log: Log, outputs: Published) -> None:
    log.put(label(0, of=7), end=4000)
    log.at_once = 0

    with pytest.raises(KafkaTimeoutError, match="cannot be read"):
        beyond(outputs)
    assert log.now <= ROUND_TRIP_MS / 1000 + 2


def test_a_partition_that_an_output_has_only_just_got_is_asked_for_again(
    log: Log, outputs: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(partitions: list[TopicPartition], timeout_ms: int) -> dict[TopicPartition, int]:
        raise KeyError(partitions[0])  # so kafka-python 3.0.12 answers as long as its metadata lacks it

    monkeypatch.setattr(log, "end_offsets", unknown)
    with pytest.raises(UnknownTopicOrPartitionError, match=r"labeled-posts.*the input has grown"):
        outputs.beyond({TopicPartition("posts", 7): 0}, TOPIC_ID)
