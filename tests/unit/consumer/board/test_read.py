"""The stage `read` against a broker in memory: what comes onto the wall and into the index, and what is said when
nothing can."""

import json
import threading
from collections.abc import Callable, Iterator

import pytest
from kafka import TopicPartition

from consumer.board import read
from consumer.board.board import follow_labels, follow_vectors
from consumer.board.index import Index
from consumer.board.read import Reader
from consumer.board.settings import BoardSettings
from consumer.board.wall import Filter, Wall
from producer.base.settings import load
from tests.conftest import wait_until
from tests.labels import golden, labeled_value
from tests.unit.consumer.board.broker import Broker, Consumer

VALUE = json.dumps(labeled_value()).encode()
Follow = Callable[[Callable[[], Reader]], None]
FIRST, SECOND = (TopicPartition("labeled-posts", number) for number in (0, 1))


@pytest.fixture
def broker() -> Broker:
    return Broker({partition: dict.fromkeys(range(100), VALUE) for partition in (FIRST, SECOND)})


@pytest.fixture
def follow(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Follow]:
    """Lets readers of this broker run."""
    monkeypatch.setattr(read, "build_consumer", lambda *_, **__: Consumer(broker))
    monkeypatch.setattr(read, "admin_client", lambda *_, **__: broker)
    monkeypatch.setattr(read, "LOOK_EVERY", 0.05)
    stop, threads = threading.Event(), list[threading.Thread]()

    def start(make: Callable[[], Reader]) -> None:
        threads.append(threading.Thread(target=make().run, args=(stop,), daemon=True))
        threads[-1].start()

    yield start
    stop.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def wall(follow: Follow) -> Wall:
    """One that is being filled."""
    filled = Wall(1000, 2**20)
    follow(lambda: follow_labels(load(BoardSettings, "board", ()), filled))
    wait_until(lambda: filled.status().trouble is None, what="the first look")
    return filled


def offsets(wall: Wall, partition: TopicPartition) -> list[int]:
    return [each.offset for each in wall.latest(Filter(), 1000)[0] if each.partition == partition.partition][::-1]


def shown(wall: Wall, partition: TopicPartition, expected: list[int]) -> Callable[[], bool]:
    return lambda: offsets(wall, partition) == expected


def test_it_begins_at_the_end_and_goes_on(wall: Wall, broker: Broker) -> None:
    broker.logs[FIRST] |= {100: VALUE, 101: VALUE}
    wait_until(shown(wall, FIRST, [100, 101]), what="two posts")
    assert offsets(wall, SECOND) == []


def test_what_expires_in_one_partition_brings_no_old_posts_of_another(wall: Wall, broker: Broker) -> None:
    broker.logs[FIRST] = dict.fromkeys((200, 201), VALUE)  # what was to come next has expired
    wait_until(shown(wall, FIRST, [200, 201]), what="what is left")
    broker.logs[SECOND] |= {100: VALUE}
    wait_until(lambda: offsets(wall, SECOND)[-1:] == [100], what="the next post of the other partition")
    assert offsets(wall, SECOND) == [100]


def test_a_partition_that_came_into_being_later_is_read_from_its_beginning(wall: Wall, broker: Broker) -> None:
    later = TopicPartition("labeled-posts", 2)
    broker.logs[later] = {0: VALUE, 1: VALUE}
    wait_until(shown(wall, later, [0, 1]), what="its posts")


def test_a_missing_right_is_said_and_names_the_topic(wall: Wall, broker: Broker) -> None:
    broker.refused = {"labeled-posts"}
    wait_until(lambda: wall.status().trouble is not None, what="trouble")
    said = "The board may not read the topic labeled-posts: it needs READ. The board keeps trying."
    assert wall.status().trouble == said
    broker.refused = set()
    wait_until(lambda: wall.status().trouble is None, what="the trouble to end")


def test_vectors_are_kept_as_they_come_and_what_is_wrong_is_said(follow: Follow, broker: Broker) -> None:
    vectors, encoded = TopicPartition("vectors", 0), golden("encoded_post")["value"]
    broker.logs[vectors] = {0: b"before"}
    index = Index(encoded["encoder"], encoded["dimensions"], 10)
    index.say("not yet")
    settings = load(BoardSettings, "board", ("--search", "--vectors-topic", "vectors"))
    follow(lambda: follow_vectors(settings, index))
    wait_until(lambda: index.counted().trouble is None, what="the first look")
    broker.logs[vectors] |= {1: b"no encoded post", 2: json.dumps(encoded).encode()}
    wait_until(lambda: index.has(encoded["city"], encoded["post_id"]), what="the vectors of a post")
    assert index.counted().posts == 1
    broker.refused = {"vectors"}
    wait_until(lambda: "may not read the topic vectors" in (index.counted().trouble or ""), what="trouble")
