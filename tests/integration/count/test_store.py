import threading
from typing import Any

import pytest
import redis

from consumer.count.cities import load_zones
from consumer.count.store import Counters, Store, TopicChanged, forget
from consumer.count.tally import Tally, tally
from producer.errors import CommandError
from tests.labels import labeled

ZONES = load_zones()
STAMP = "conse/efficientnet-lite0+minilm-l6|places205@1f3a9c2e|conditional weights=0.8/0.8 gate=0.6 threshold=0.3"
LIVE: dict[str, Any] = {
    "offsets": {"labels:0": "1"},
    "topic": "id-1",
    "cities": {"newyork"},
    "stamps": {STAMP: "1"},
    "posts:newyork": {"bridge": "1"},
    "sentiment:newyork": {"bridge": "4215", "bridge:sq": "17766225", "bridge:n": "1"},
    "hours:newyork": {"bridge|1|22": "1"},
    "days:newyork": {"2017-03-28": "1"},
}


def one(**changes: Any) -> Tally:
    return tally([labeled(**changes)], ZONES)


@pytest.fixture
def store(redis_client: redis.Redis, counter_prefix: str) -> Store:
    return Store(redis_client, counter_prefix, "labels", "id-1")


class Keys:
    def __init__(self, client: redis.Redis, prefix: str) -> None:
        self._client, self._prefix = client, prefix

    def __call__(self) -> dict[str, Any]:
        readers: dict[str, Any] = {
            "hash": self._client.hgetall, "set": self._client.smembers, "string": self._client.get,
        }  # fmt: skip
        return {
            key.removeprefix(f"{self._prefix}:"): readers[str(self._client.type(key))](key)
            for key in self._client.scan_iter(match=f"{self._prefix}:*")
        }


@pytest.fixture
def keys(redis_client: redis.Redis, counter_prefix: str) -> Keys:
    return Keys(redis_client, counter_prefix)


def test_the_first_tally_is_applied_to_an_empty_redis(store: Store, keys: Keys) -> None:
    assert store.offsets() == {}
    assert store.apply(one(), {0: None, 1: None}, {0: 1}) is None
    assert keys() == LIVE
    assert store.offsets() == {0: 1}


def test_a_tally_is_added_where_the_last_one_ended(store: Store, keys: Keys) -> None:
    store.apply(one(), {0: None, 1: None}, {0: 1})
    assert store.apply(one(city="sydney", sentiment=-0.5), {0: 1, 1: None}, {0: 7, 1: 3}) is None
    assert store.offsets() == {0: 7, 1: 3}
    after = keys()
    assert after["sentiment:sydney"] == {"bridge": "-5000", "bridge:sq": "25000000", "bridge:n": "1"}
    assert after["stamps"] == {STAMP: "2"}
    assert after["cities"] == {"newyork", "sydney"}
    assert after["posts:newyork"] == LIVE["posts:newyork"]


@pytest.mark.parametrize(
    "before",
    [{0: None}, {0: 0}, {0: 2}, {0: 1, 1: 4}],
    ids=["nothing counted", "further back", "further on", "another partition"],
)
def test_a_tally_read_from_elsewhere_is_refused_and_changes_nothing(
    store: Store, keys: Keys, before: dict[int, int | None]
) -> None:
    store.apply(one(), {0: None, 1: None}, {0: 1})
    assert store.apply(one(city="sydney"), before, {0: 9}) == {0: 1}
    assert keys() == LIVE


def test_an_emptied_redis_is_noticed(store: Store, keys: Keys) -> None:
    assert store.apply(one(), {0: 1, 1: None}, {0: 2}) == {}
    assert keys() == {}


def test_counters_of_another_topic_are_refused_and_stay(
    store: Store, redis_client: redis.Redis, counter_prefix: str, keys: Keys
) -> None:
    store.apply(one(), {0: None}, {0: 1})
    created_anew = Store(redis_client, counter_prefix, "labels", "id-2")
    with pytest.raises(TopicChanged, match="^id-1$"):
        created_anew.apply(one(), {0: 1}, {0: 2})
    with pytest.raises(TopicChanged, match="^id-1$"):
        created_anew.check_topic()
    store.check_topic()
    assert keys() == LIVE


def test_offsets_of_a_topic_with_another_name_are_not_ours(
    store: Store, redis_client: redis.Redis, counter_prefix: str
) -> None:
    redis_client.hset(f"{counter_prefix}:offsets", mapping={"labels:0": "5", "labels:b:0": "6", "other:1": "7"})
    assert store.offsets() == {0: 5}
    assert Store(redis_client, counter_prefix, "labels:b", "id").offsets() == {0: 6}


def test_a_script_that_fails_half_way_takes_back_what_it_did(
    store: Store, keys: Keys, redis_client: redis.Redis, counter_prefix: str
) -> None:
    store.apply(one(), {0: None}, {0: 1})
    redis_client.hset(f"{counter_prefix}:hours:newyork", "bridge|1|22", "many")
    with pytest.raises(redis.ResponseError, match=r"not an integer.*:hours:newyork bridge\|1\|22"):
        store.apply(one(sentiment=-0.5), {0: 1}, {0: 2})
    assert keys() == LIVE | {"hours:newyork": {"bridge|1|22": "many"}}
    redis_client.delete(f"{counter_prefix}:hours:newyork")
    assert store.apply(one(sentiment=-0.5), {0: 1}, {0: 2}) is None  # nothing was lost


def test_a_key_that_is_no_hash_refuses_the_whole_tally(
    store: Store, keys: Keys, redis_client: redis.Redis, counter_prefix: str
) -> None:
    redis_client.set(f"{counter_prefix}:posts:newyork", "mine")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE|wrong kind"):
        store.apply(one(), {0: None}, {0: 1})
    assert "offsets" not in keys()
    with pytest.raises(redis.ResponseError):
        Counters.read(redis_client, counter_prefix)


def test_a_counter_that_is_no_number_is_one_line(store: Store, redis_client: redis.Redis, counter_prefix: str) -> None:
    store.apply(one(), {0: None}, {0: 1})
    redis_client.hset(f"{counter_prefix}:posts:newyork", "bridge", "many")
    with pytest.raises(CommandError, match="is no number: .*'many'"):
        Counters.read(redis_client, counter_prefix)


def test_rebuilt_counters_take_the_place_of_the_live_ones_only_if_they_are_what_was_rebuilt(
    store: Store, redis_client: redis.Redis, counter_prefix: str, keys: Keys
) -> None:
    store.apply(one(), {0: None}, {0: 1})
    prefix = f"{counter_prefix}:rebuild"
    rebuilt = Store(redis_client, prefix, "labels", "id-1")
    rebuilt.apply(one(city="sydney"), {0: None, 1: None}, {0: 3})
    before = keys()

    assert not rebuilt.switch_to(counter_prefix, {0: 2})
    assert not rebuilt.switch_to(counter_prefix, {0: 3, 1: 1})
    assert not rebuilt.switch_to(counter_prefix, {})
    assert not Store(redis_client, prefix, "labels", "id-2").switch_to(counter_prefix, {0: 3})
    assert keys() == before
    assert rebuilt.switch_to(counter_prefix, {0: 3, 1: None})
    assert keys() == {name.removeprefix("rebuild:"): held for name, held in before.items() if "rebuild:" in name}


def test_counters_are_forgotten_all_or_none_while_others_add_to_them(
    stack: Any, redis_client: redis.Redis, counter_prefix: str
) -> None:
    stop = threading.Event()

    def keep_counting() -> None:
        client = redis.Redis.from_url(stack.redis.url, decode_responses=True)
        writer, offset = Store(client, counter_prefix, "labels", "id-1"), 0
        while not stop.is_set():
            if writer.apply(one(city=f"city {offset % 100}"), {0: offset or None}, {0: offset + 1}) is None:
                offset += 1
            else:
                offset = 0

    thread = threading.Thread(target=keep_counting)
    thread.start()
    try:
        forgotten = 0
        while forgotten < 100:
            counters = Counters.read(redis_client, counter_prefix)
            posts = sum(number for fields in counters.posts.values() for number in fields.values())
            assert posts == sum(counters.stamps.values()) == counters.offsets.get("labels:0", 0)
            if counters.offsets:
                forget(redis_client, counter_prefix)
                forgotten += 1
    finally:
        stop.set()
        thread.join()


def test_everything_that_is_read_is_of_one_moment(
    store: Store, stack: Any, redis_client: redis.Redis, counter_prefix: str
) -> None:
    stop = threading.Event()

    def keep_counting() -> None:
        client = redis.Redis.from_url(stack.redis.url, decode_responses=True)
        writer, offset = Store(client, counter_prefix, "labels", "id-1"), 0
        while not stop.is_set():
            assert writer.apply(one(city=f"city {offset % 100}"), {0: offset or None}, {0: offset + 1}) is None
            offset += 1

    thread = threading.Thread(target=keep_counting)
    thread.start()
    try:
        seen = set()
        for _ in range(300):
            read = Counters.read(redis_client, counter_prefix)
            posts = sum(number for fields in read.posts.values() for number in fields.values())
            assert posts == sum(read.stamps.values()) == read.offsets.get("labels:0", 0)
            seen.add(posts)
    finally:
        stop.set()
        thread.join()
    assert len(seen) > 10  # it was read while it changed
