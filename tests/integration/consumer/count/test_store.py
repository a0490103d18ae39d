import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import pytest
import redis

from consumer.count import snapshot as module
from consumer.count import switch
from consumer.count.counters import Tally, stamp_of, tally
from consumer.count.snapshot import Counters, Switching
from consumer.count.store import Stand, Store, TopicChanged
from consumer.count.switch import AnotherRecount, Rebuild
from consumer.count.zones import load_zones
from producer.base.errors import CommandError
from tests.conftest import wait_until
from tests.integration.consumer.count.conftest import keys_below
from tests.labels import labeled

ZONES = load_zones()
STAMP = stamp_of(labeled())
LIVE: dict[str, Any] = {
    "offsets": {"labels:0": "1"},
    "topic": "id-1",
    "known": {"id-1:0": "1"},
    "cities": ["newyork"],
    "stamps": {STAMP: "1"},
    "posts:newyork": {"bridge": "1"},
    "sentiment:newyork": {"bridge": "4215", "bridge:sq": "17766225", "bridge:n": "1"},
    "languages:newyork": {"en": "1"},
    "hours:newyork": {"bridge|1|22": "1"},
    "days:newyork": {"2017-03-28": "1"},
}


def one(**changes: Any) -> Tally:
    return tally([labeled(**changes)], ZONES)


@pytest.fixture
def store(redis_client: redis.Redis, counter_prefix: str) -> Store:
    return Store(redis_client, counter_prefix, "labels", "id-1")


Keys = Callable[[], dict[str, Any]]


@pytest.fixture
def keys(redis_client: redis.Redis, counter_prefix: str) -> Keys:
    return partial(keys_below, redis_client, counter_prefix)


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
    assert after["cities"] == ["newyork", "sydney"]
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
    recreated = Store(redis_client, counter_prefix, "labels", "id-2")
    with pytest.raises(TopicChanged, match="^id-1$"):
        recreated.apply(one(), {0: 1}, {0: 2})
    with pytest.raises(TopicChanged, match="^id-1$"):
        recreated.stand()
    assert store.stand().offsets == {0: 1}
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
    rebuild = Rebuild(redis_client, counter_prefix)
    prefix = rebuild.prefix
    rebuilt = Store(redis_client, prefix, "labels", "id-1")
    rebuilt.apply(one(city="sydney"), {0: None, 1: None}, {0: 3})
    before = keys()

    another_topic = Store(redis_client, prefix, "labels", "id-2")
    for writer, offsets in ((rebuilt, {0: 2}), (rebuilt, {0: 3, 1: 1}), (rebuilt, {}), (another_topic, {0: 3})):
        with pytest.raises(AnotherRecount):
            rebuild.switch(writer, offsets)
    assert keys() == before
    rebuild.switch(rebuilt, {0: 3})
    after = keys()
    assert after.pop("recounted")
    assert after == {name.removeprefix("rebuild:"): held for name, held in before.items() if "rebuild:" in name}


def test_what_is_rebuilt_is_forgotten_whole_while_another_recount_adds_to_it(
    stack: Any, redis_client: redis.Redis, counter_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switch, "STEP", 7)
    prefix, forgotten = Rebuild(redis_client, counter_prefix).prefix, 0
    with counting_on(stack, prefix):
        while forgotten < 100:
            counters = Counters.read(redis_client, prefix)
            posts = sum(number for fields in counters.posts.values() for number in fields.values())
            assert posts == sum(counters.stamps.values()) == counters.offsets.get("labels:0", 0)
            if counters.offsets:
                Rebuild(redis_client, counter_prefix).begin()
                forgotten += 1


@contextmanager
def meanwhile(stack: Any, step: Callable[[redis.Redis], None]) -> Iterator[None]:
    """Take this step again and again beside the block."""
    stop = threading.Event()

    def go_on() -> None:
        with redis.Redis.from_url(stack.redis.url, decode_responses=True) as client:
            while not stop.is_set():
                step(client)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def counting_on(stack: Any, prefix: str) -> AbstractContextManager[None]:
    """One post after the other of a hundred cities is counted meanwhile; from the first, where all is forgotten."""
    offset = 0

    def count_one(client: redis.Redis) -> None:
        nonlocal offset
        tally, writer = one(city=f"city {offset % 100}"), Store(client, prefix, "labels", "id-1")
        try:
            applied = writer.apply(tally, {0: offset or None}, {0: offset + 1}) is None
        except TopicChanged:  # it is being forgotten
            applied = False
        offset = offset + 1 if applied else 0

    return meanwhile(stack, count_one)


def test_everything_that_is_read_is_of_one_moment(stack: Any, redis_client: redis.Redis, counter_prefix: str) -> None:
    with counting_on(stack, counter_prefix):
        seen = set()
        for _ in range(300):
            read = Counters.read(redis_client, counter_prefix)
            posts = sum(number for fields in read.posts.values() for number in fields.values())
            assert posts == sum(read.stamps.values()) == read.offsets.get("labels:0", 0)
            seen.add(posts)
    assert len(seen) > 10  # it was read while it changed


def test_more_cities_than_are_read_at_once_are_each_of_the_moment_that_is_said(
    stack: Any, redis_client: redis.Redis, counter_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLICE", 7)
    with counting_on(stack, counter_prefix):
        later = 0
        for _ in range(100):
            read = Counters.read(redis_client, counter_prefix)
            assert sum(read.stamps.values()) == read.offsets.get("labels:0", 0)
            for city in range(100):
                (below,) = read.later.get(f"city {city}", read.offsets or {"labels:0": 0}).values()
                posts = sum(read.posts.get(f"city {city}", {}).values())
                assert posts == len(range(city, below, 100))
            later += bool(read.later)
    assert later > 10  # it was read while it changed


def test_a_reader_sees_the_counters_of_before_or_after_a_recount_and_never_a_mixture(
    stack: Any, redis_client: redis.Redis, counter_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLICE", 7)
    monkeypatch.setattr(module, "LOOK_EVERY", 0.0)
    monkeypatch.setattr(switch, "STEP", 3)
    both = [{f"{name} {number}": {"bridge": times} for number in range(20)} for times, name in ((1, "old"), (2, "new"))]

    def replace(cities: dict[str, dict[str, int]], client: redis.Redis) -> None:
        rebuild = Rebuild(client, counter_prefix)
        rebuild.begin()
        counted = tally((labeled(city=city) for city, posts in cities.items() for _ in range(posts["bridge"])), ZONES)
        writer = Store(client, rebuild.prefix, "labels", "id-1")
        assert writer.apply(counted, {0: None}, {0: 40}) is None
        rebuild.switch(writer, {0: 40})

    def replace_both(client: redis.Redis) -> None:
        for cities in both:
            replace(cities, client)

    replace(both[1], redis_client)
    with meanwhile(stack, replace_both):
        seen: list[list[str]] = []
        while len({tuple(cities) for cities in seen}) < 2 or len(seen) < 50:
            read = Counters.read(redis_client, counter_prefix)
            assert read.posts in both
            seen.append(sorted(read.posts))


def test_cities_become_known_with_the_offsets_and_are_loaded_with_them(store: Store, keys: Keys) -> None:
    assert store.stand() == Stand({}, {}, {})
    store.apply(one(city="lyon"), {0: None, 1: None}, {0: 3, 1: 1}, {0: None, 1: None}, {0: {"lyon": 2}})
    assert store.stand() == Stand({0: 3, 1: 1}, {0: 3, 1: 1}, {0: {"lyon": 2}, 1: {}})
    store.apply(one(city="nice"), {0: 3, 1: 1}, {0: 9}, {0: 3, 1: 1}, {0: {"nice": 8}})
    assert store.stand() == Stand({0: 9, 1: 1}, {0: 9, 1: 1}, {0: {"lyon": 2, "nice": 8}, 1: {}})
    stored = keys()
    assert stored["known"] == {"id-1:0": "9", "id-1:1": "1"}
    assert stored["known:0"] == {"lyon": "2", "nice": "8"}


def test_who_knows_other_cities_than_are_stored_is_refused(store: Store, keys: Keys) -> None:
    store.apply(one(city="lyon"), {0: None}, {0: 3}, {0: None}, {0: {"lyon": 2}})
    before = keys()
    for known_to in (None, 2):  # another `count` has gone on with what an earlier version has left
        assert store.apply(one(city="nice"), {0: 3}, {0: 5}, {0: known_to}, {0: {"nice": 1}}) == {0: 3}
    assert keys() == before


def test_offsets_that_an_earlier_version_moved_stay_while_what_came_first_is_read_again(
    store: Store, redis_client: redis.Redis, counter_prefix: str
) -> None:
    store.apply(one(city="lyon"), {0: None}, {0: 3}, {0: None}, {0: {"lyon": 2}})
    redis_client.hset(f"{counter_prefix}:offsets", "labels:0", 7)
    assert store.stand() == Stand({0: 7}, {0: 3}, {0: {"lyon": 2}})
    store.apply(Tally(), {0: 7}, {0: 5}, {0: 3}, {0: {"nice": 4}})
    assert store.stand() == Stand({0: 7}, {0: 5}, {0: {"lyon": 2, "nice": 4}})
    redis_client.hset(f"{counter_prefix}:offsets", "labels:0", 4)  # or set back
    assert store.stand() == Stand({0: 4}, {0: 5}, {0: {"lyon": 2}})


def test_what_was_known_of_another_topic_is_forgotten(
    store: Store, redis_client: redis.Redis, counter_prefix: str
) -> None:
    redis_client.hset(f"{counter_prefix}:known", "id-0:0", 9)
    redis_client.hset(f"{counter_prefix}:known:0", "atlantis", 8)
    assert store.stand() == Stand({}, {}, {})
    store.apply(one(city="lyon"), {0: None}, {0: 10}, {0: None}, {0: {"lyon": 2}})
    assert store.stand() == Stand({0: 10}, {0: 10}, {0: {"lyon": 2}})


def test_nothing_is_counted_or_read_while_a_recount_puts_its_counters_in_place(
    store: Store, keys: Keys, redis_client: redis.Redis, counter_prefix: str
) -> None:
    store.apply(one(), {0: None}, {0: 1})
    redis_client.set(f"{counter_prefix}:topic", "switching:id-1")
    before = keys()
    says = f"^a recount is putting new counters in place under {re.escape(counter_prefix)}; if it was interrupted, "
    with pytest.raises(Switching, match=says):
        store.stand()
    with pytest.raises(Switching, match=says):
        store.apply(one(), {0: 1}, {0: 2})
    with pytest.raises(Switching, match=says):
        Counters.read(redis_client, counter_prefix, patience=0.3)
    assert keys() == before


def test_a_reader_waits_for_a_recount_and_says_so_once(
    store: Store, redis_client: redis.Redis, counter_prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.apply(one(), {0: None}, {0: 1})
    redis_client.set(f"{counter_prefix}:topic", "switching:id-1")
    read: list[Counters] = []
    thread = threading.Thread(target=lambda: read.append(Counters.read(redis_client, counter_prefix)))
    thread.start()
    wait_until(lambda: "waiting: a recount is putting new counters in place" in caplog.text, what="the reader waits")
    redis_client.set(f"{counter_prefix}:topic", "id-1")
    thread.join()
    assert read[0].offsets == {"labels:0": 1}
    assert caplog.text.count("waiting: ") == 1
