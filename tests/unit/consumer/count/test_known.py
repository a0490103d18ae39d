import random

import pytest

from consumer.count import known
from consumer.count.known import OTHER, KnownCities, LabeledRecord
from consumer.count.store import first_below
from tests.labels import labeled

ALWAYS = {"london", "newyork"}
POST = labeled()


@pytest.fixture(autouse=True)
def _three_cities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "MOST", 3)


def records(*cities: str, partition: int = 0) -> list[LabeledRecord]:
    return [LabeledRecord(partition, n, POST.model_copy(update={"city": city})) for n, city in enumerate(cities)]


def names(cities: KnownCities, read: list[LabeledRecord]) -> list[str]:
    return [post.city for post in cities.posts(read, {})]


def test_the_first_cities_keep_their_name_and_all_others_count_as_one() -> None:
    cities = KnownCities(ALWAYS)
    read = names(cities, records("a", "b", "a", "c", "d", "e", "b", "d"))
    assert read == ["a", "b", "a", "c", OTHER, OTHER, "b", OTHER]
    assert cities.first == {0: {"a": 0, "b": 1, "c": 3}}
    assert cities.beyond == "d"


def test_cities_of_the_file_keep_their_name_and_take_no_room() -> None:
    cities = KnownCities(ALWAYS)
    read = names(cities, records("london", "a", "b", "newyork", "c", "d", "london", "newyork"))
    assert read == ["london", "a", "b", "newyork", "c", OTHER, "london", "newyork"]


def test_each_partition_has_its_own_first_cities() -> None:
    cities = KnownCities(ALWAYS)
    assert names(cities, records("a", "b", "c", "d")) == ["a", "b", "c", OTHER]
    assert names(cities, records("d", "c", "b", "a", partition=1)) == ["d", "c", "b", OTHER]


def test_a_city_that_calls_itself_so_counts_with_the_others_and_takes_no_room() -> None:
    cities = KnownCities(ALWAYS)
    read = names(cities, records(OTHER, "a", OTHER, "b", "c", "d"))
    assert read == [OTHER, "a", OTHER, "b", "c", OTHER]
    assert cities.first == {0: {"a": 1, "b": 3, "c": 4}}


def test_a_post_keeps_everything_but_its_city() -> None:
    (*_, other) = KnownCities(ALWAYS).posts(records("a", "b", "c", "d"), {})
    assert other == POST.model_copy(update={"city": OTHER})


def test_posts_that_are_counted_already_only_make_their_cities_known() -> None:
    cities = KnownCities(ALWAYS)
    read = records("a", "b", "c", "d", "e")
    assert [post.city for post in cities.posts(read, {0: 2})] == ["c", OTHER, OTHER]


def many(seed: int = 205) -> list[LabeledRecord]:
    """Posts of eight cities in two partitions, each partition in the order of its offsets, as a broker mixes them."""
    chance = random.Random(seed)
    pool = ["london", OTHER, *"abcdef"]
    queues = [records(*chance.choices(pool, k=40), partition=partition) for partition in (0, 1)]
    return [queues[number].pop(0) for number in chance.sample([0] * 40 + [1] * 40, 80)]


def named(read: list[LabeledRecord]) -> dict[tuple[int, int], str]:
    cities = KnownCities(ALWAYS)
    return {(record.partition, record.offset): cities.named(record).city for record in read}


def test_any_mixture_of_the_partitions_names_the_same() -> None:
    apart = sorted(many(), key=lambda record: (record.partition, record.offset))
    assert named(apart) == named(many())
    assert set(named(apart).values()) > {OTHER, "london"}


def test_a_restart_at_any_record_in_chunks_of_any_size_names_the_same() -> None:
    read, right = many(), named(many())
    for size in (1, 3, 80):
        stored: dict[int, dict[str, int]] = {}  # as `count` keeps it: what became known, with the offsets
        offsets: dict[int, int] = {}
        for begin in range(0, len(read), size):
            cities = KnownCities(ALWAYS, first_below(offsets, stored))
            for record in read[begin : begin + size]:
                assert cities.named(record).city == right[record.partition, record.offset]
                offsets[record.partition] = record.offset + 1
            for partition, new in cities.take_new().items():
                stored.setdefault(partition, {}).update(new)
            assert cities.take_new() == {}
            assert stored == {number: cities.first.get(number, first) for number, first in stored.items()}


def test_what_is_known_beyond_the_offsets_changes_nothing_before_them() -> None:
    read, right = many(), named(many())
    whole = KnownCities(ALWAYS)
    for record in read:
        whole.named(record)
    for number in range(len(read)):
        offsets = {record.partition: record.offset + 1 for record in read[:number]}
        cities = KnownCities(ALWAYS, first_below(offsets, whole.first))
        assert [cities.named(record).city for record in read[number:]] == [
            right[record.partition, record.offset] for record in read[number:]
        ]
