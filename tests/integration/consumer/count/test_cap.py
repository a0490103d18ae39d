"""More cities than keep their name: whoever counts, in whatever chunks, from wherever, counts the same."""

from contextlib import suppress
from threading import Event, Thread
from typing import Any

import pytest
from kafka import KafkaAdminClient, TopicPartition

from consumer.count import known, read, snapshot
from consumer.count.count import Notices
from consumer.count.store import Store
from tests.conftest import wait_until
from tests.integration.consumer.count.conftest import Counting, metric, records
from tests.labels import labeled
from tests.wire import write


@pytest.fixture(autouse=True)
def _three_cities_in_small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "MOST", 3)
    monkeypatch.setattr(read, "CHUNK", 7)


def write_cities(counting: Counting, number: int, first: int = 0) -> None:
    """Posts of a new city every third post, of London, of one that calls itself `_other`, and of old cities."""
    cities = [("london", "_other", f"city {n}", f"city {n // 2}", f"city {n % 5}")[n % 5] for n in range(number)]
    write(
        counting.stack,
        counting.topics.output,
        records(labeled(post_id=str(first + n), city=city) for n, city in enumerate(cities, first)),
    )


def test_the_first_cities_of_each_partition_keep_their_name_and_the_rest_is_counted_as_one(counting: Counting) -> None:
    cities = [["a", "london", "b", "c", "d", "a", "e"], ["d", "_other", "e", "f", "a", "newyork", "f"]]
    mixed = [city for pair in zip(*cities, strict=True) for city in pair]  # to partition 0, 1, 0, 1 …
    write(counting.stack, counting.topics.output, records(labeled(city=city) for city in mixed))
    metrics = counting.count_here()
    keys = counting.all_keys()
    posts = {name.removeprefix("posts:"): int(held["bridge"]) for name, held in keys.items() if name[:6] == "posts:"}
    assert posts == {
        "a": 2,
        "b": 1,
        "c": 1,
        "d": 1,
        "e": 1,
        "f": 2,
        "london": 1,
        "newyork": 1,
        "_other": 4,
    }
    assert keys["known:0"] == {"a": "0", "b": "2", "c": "3"}
    assert keys["known:1"] == {"d": "0", "e": "2", "f": "3"}
    assert keys["cities"] == sorted(posts)
    assert "hours:_other" not in keys
    assert metrics.capped._value.get() == 4


def assert_a_recount_changes_nothing(counting: Counting) -> dict[str, Any]:
    """All keys, which are the same before and after."""
    counted = counting.all_keys()
    assert counting.here("recount")[0] == 0
    recounted = counting.all_keys()
    assert recounted.pop("recounted")
    assert recounted == counted
    return counted


def test_count_recount_and_verify_agree_wherever_count_was_stopped(counting: Counting) -> None:
    for _ in range(4):
        write_cities(counting, 30)
        counting.count_here()
        counting.assert_equal_to_a_recount()
    counted = assert_a_recount_changes_nothing(counting)
    assert "_other" in counted["cities"]
    assert len(counted["known:0"]) == len(counted["known:1"]) == 3


def test_a_redis_that_goes_back_knows_the_cities_of_then(counting: Counting) -> None:
    write_cities(counting, 8)
    counting.count_here()
    snapshot = {key: counting.redis.dump(key) for key in counting.redis.scan_iter(match=f"{counting.prefix}:*")}
    write_cities(counting, 40, 40)
    counting.count_here()
    counting.redis.delete(*counting.redis.scan_iter(match=f"{counting.prefix}:*"))
    for key, held in snapshot.items():
        counting.redis.restore(key, 0, held)  # type: ignore[arg-type]
    counting.count_here()
    counting.assert_equal_to_a_recount()


def as_an_earlier_version(counting: Counting, known_keys: dict[str, Any]) -> None:
    """Leaves the counters as one does that counts, but keeps no known cities: these stay as they were."""
    counting.redis.delete(*counting.redis.scan_iter(match=f"{counting.prefix}:known*"))
    for name, held in known_keys.items():
        counting.redis.hset(f"{counting.prefix}:{name}", mapping=held)


@pytest.mark.parametrize("knew", [False, True], ids=["never counted so", "rolled back and forth"])
def test_counters_that_an_earlier_version_has_counted_on_go_on_as_if_it_had_known(
    counting: Counting, knew: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """It has the same cities here: none is beyond the cap yet."""
    caplog.set_level("INFO")
    write(counting.stack, counting.topics.output, records(labeled(city=city) for city in ("a", "b", "london")))
    counting.count_here()
    known_then = {name: held for name, held in counting.all_keys().items() if name.startswith("known")}
    write(counting.stack, counting.topics.output, records(labeled(city=city) for city in ("c", "d", "a", "b") * 5))
    counting.count_here()
    as_an_earlier_version(counting, known_then if knew else {})
    counting.assert_equal_to_a_recount()  # what it counted is right; what is not known yet is no difference
    write_cities(counting, 30)

    posts = counting.counted()
    metrics = counting.count_here()
    assert counting.counted() == posts + 30 == 53
    assert metrics.counted._value.get() == 30
    assert metrics.lag.labels("0")._value.get() == 0
    assert "reading once which cities came first" in caplog.text
    counting.assert_equal_to_a_recount()
    assert_a_recount_changes_nothing(counting)


def test_what_an_earlier_version_counted_beyond_the_cap_is_found_and_recounted(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cities(counting, 60)
    with monkeypatch.context() as patch:
        patch.setattr(known, "MOST", 1_000_000)
        counting.count_here()
    as_an_earlier_version(counting, {})
    code, said = counting.here("verify")
    assert (code, "counters differ" in said) == (1, True)
    assert counting.here("recount")[0] == 0
    counting.assert_equal_to_a_recount()


def test_reading_again_which_cities_came_first_goes_on_where_it_was_killed(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cities(counting, 60)
    counting.count_here()
    as_an_earlier_version(counting, {})
    applied, apply = 0, Store.apply

    def apply_twice(*arguments: Any) -> Any:
        nonlocal applied
        applied += 1
        if applied > 2:
            raise KeyboardInterrupt
        return apply(*arguments)

    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(Store, "apply", apply_twice)
        counting.count_here()
    marks = {field.rpartition(":")[2]: int(mark) for field, mark in counting.all_keys()["known"].items()}
    assert 0 < sum(marks.values()) <= 14 < 60
    counting.assert_equal_to_a_recount()
    write_cities(counting, 20, 60)
    counting.count_here()
    assert counting.counted() == 80
    counting.assert_equal_to_a_recount()


def test_a_known_city_that_was_changed_by_hand_is_found(counting: Counting) -> None:
    write_cities(counting, 30)
    counting.count_here()
    counting.redis.hset(f"{counting.prefix}:known:0", "atlantis", 3)
    code, said = counting.here("verify")
    assert (code, "known:0 atlantis: Redis has 3, the topic 0" in said) == (1, True)


def test_a_topic_that_lost_its_beginning_is_read_from_what_is_left(counting: Counting, admin: KafkaAdminClient) -> None:
    write_cities(counting, 40)
    counting.count_here()
    as_an_earlier_version(counting, {})
    admin.delete_records({TopicPartition(counting.topics.output, 0): 12})
    write_cities(counting, 20, 40)
    metrics = counting.count_here()
    assert counting.counted() == 60
    assert metrics.expired.labels("0")._value.get() == 0  # they were counted


def test_verify_is_right_while_more_cities_are_counted_than_it_reads_at_once(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "MOST", 1_000)
    monkeypatch.setattr(snapshot, "SLICE", 5)
    counter = counting.start()
    stop, written = Event(), 0

    def keep_writing() -> None:
        nonlocal written
        while not stop.is_set():
            write_cities(counting, 50, written)
            written += 50

    writer = Thread(target=keep_writing)
    writer.start()
    try:
        verified: set[str] = set()
        while len(verified) < 5:  # at so many different moments
            wait_until(lambda: counting.counted() > len(verified) * 50, what="more is counted")
            code, said = counting.here("verify")
            assert code == 0, said
            verified.add(said)
    finally:
        stop.set()
        writer.join()
    counting.wait_for(written)
    assert metric(counter, "placestream_counted_posts_total") == written
    assert counter.end() == 0


def test_a_hundred_thousand_notices_of_a_kind_are_a_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    notices = Notices()
    for number in range(100_000):
        notices.say("no zone", 1, f"city {number}")
        notices.say("no time", 0)
    said = [(record.getMessage(), record.fields) for record in caplog.records]  # type: ignore[attr-defined]
    assert said == [("no zone", {"posts": 10**n, "city": f"city {10**n - 1}"}) for n in range(6)]
