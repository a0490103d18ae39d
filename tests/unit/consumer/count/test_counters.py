from collections import Counter
from typing import Any

import pytest

from consumer.count.counters import Tally, hashed_id, stamp_of, tally
from consumer.count.zones import load_zones
from tests.labels import golden, labeled

ZONES = load_zones()
DECISION = "conditional weights=0.8/0.8 gate=0.6 threshold=0.3 broader=0.6"
STAMP = f"conse/efficientnet-lite0+minilm-l6|places205@1f3a9c2e|{DECISION}"


def hour_of(created_at: str | None, city: str = "newyork") -> dict[str, int]:
    return dict(tally([labeled(city=city, created_at=created_at)], ZONES).hours.get(city, {}))


def test_a_post_is_told_from_others_by_its_city_and_id() -> None:
    same, other_id, other_city = labeled(place=None), labeled(post_id="1" * 1000), labeled(city="sydney")
    assert hashed_id(labeled()) == hashed_id(same)
    assert len({hashed_id(post) for post in (same, other_id, other_city)}) == 3
    assert len(hashed_id(other_id)) == 16


def test_the_golden_posts_add_up_to_the_golden_keys() -> None:
    expected = golden("redis_keys")
    counted = tally((labeled(**changes) for changes in expected["changes"]), ZONES)
    numbers = {name: fields for name, fields in expected["keys"].items() if isinstance(fields, dict)}
    for name in ("offsets", "known", "known:1", "ids:of"):
        del numbers[name]
    assert counted.hashes() == {
        name: {field: int(number) for field, number in fields.items()} for name, fields in numbers.items()
    }
    assert counted.without_zone == {"são paulo": 1}
    assert counted.without_time == 1


def test_a_post_that_is_not_classified_is_counted_as_such_in_every_hash() -> None:
    broader = {"level": "level2", "name": "shopping and dining", "confidence": 0.61}
    counted = tally([labeled(place=None, broader=broader)], ZONES)
    assert counted.hashes() == {
        "posts:newyork": {"_not_classified": 1},
        "broader:newyork": {"level2|shopping and dining": 1},
        "sentiment:newyork": {"_not_classified": 4215, "_not_classified:sq": 4215**2, "_not_classified:n": 1},
        "languages:newyork": {"en": 1},
        "hours:newyork": {"_not_classified|1|22": 1},
        "days:newyork": {"2017-03-28": 1},
        "stamps": {STAMP: 1},
    }


@pytest.mark.parametrize(
    ("sentiment", "units"), [(0.4215, 4215), (-0.4215, -4215), (1, 10_000), (0, 0), (0.57, 5700), (0.00004, 0)]
)
def test_sentiments_are_summed_as_whole_ten_thousandths(sentiment: float, units: int) -> None:
    counted = tally([labeled(sentiment=sentiment)] * 3, ZONES)
    assert counted.sentiment == {"newyork": {"bridge": 3 * units, "bridge:sq": 3 * units**2, "bridge:n": 3}}


def test_a_post_without_sentiment_is_in_no_sum() -> None:
    counted = tally([labeled(sentiment=None), labeled(sentiment=-0.1)], ZONES)
    assert counted.sentiment == {"newyork": {"bridge": -1000, "bridge:sq": 1_000_000, "bridge:n": 1}}
    assert counted.posts == {"newyork": {"bridge": 2}}


def test_languages_that_are_not_sure_and_those_of_earlier_labels_are_not_counted() -> None:
    languages: list[Any] = ["en", "de", None, ..., "en"]
    counted = tally([labeled(language=language) for language in languages], ZONES)
    assert counted.languages == {"newyork": {"en": 2, "de": 1}}


@pytest.mark.parametrize(
    ("city", "created_at", "field"),
    [
        ("newyork", "2017-01-02T04:59:59.999Z", "bridge|6|23"),  # Sunday night there, Monday in UTC
        ("newyork", "2017-01-02T05:00:00Z", "bridge|0|0"),
        ("newyork", "2017-03-12T06:59:59Z", "bridge|6|1"),  # clocks go from 2 to 3
        ("newyork", "2017-03-12T07:00:00Z", "bridge|6|3"),
        ("newyork", "2016-11-06T05:30:00Z", "bridge|6|1"),  # the hour that comes twice
        ("newyork", "2016-11-06T06:30:00Z", "bridge|6|1"),
        ("melbourne", "2017-07-01T14:00:00Z", "bridge|6|0"),  # winter there
        ("melbourne", "2017-01-01T13:00:00Z", "bridge|0|0"),
        ("singapore", "2017-01-01T15:59:00Z", "bridge|6|23"),
        ("london", "2017-07-01T23:30:00+02:00", "bridge|5|22"),  # any offset is an instant
    ],
)
def test_hours_are_the_local_time_of_the_city(city: str, created_at: str, field: str) -> None:
    assert hour_of(created_at, city) == {field: 1}


@pytest.mark.parametrize(
    ("city", "created_at", "day"),
    [
        ("newyork", "2017-01-01T04:59:59.999Z", "2016-12-31"),
        ("newyork", "2017-01-01T05:00:00Z", "2017-01-01"),
        ("sydney", "2017-01-01T13:00:00Z", "2017-01-02"),
        ("london", "0099-07-01T12:00:00Z", "0099-07-01"),  # sorts as text
    ],
)
def test_days_are_the_local_date_of_the_city(city: str, created_at: str, day: str) -> None:
    assert tally([labeled(city=city, created_at=created_at)], ZONES).days == {city: {day: 1}}


def test_a_city_without_a_zone_is_in_no_hour_and_never_in_utc() -> None:
    counted = tally([labeled(city="atlantis"), labeled(city="atlantis", created_at=None)], ZONES)
    assert counted.hours == counted.days == {}
    assert counted.without_zone == {"atlantis": 2}
    assert counted.posts == {"atlantis": {"bridge": 2}}


@pytest.mark.parametrize("created_at", [None, "0001-01-01T00:00:00Z"])
def test_a_post_without_a_local_time_is_in_no_hour(created_at: str | None) -> None:
    counted = tally([labeled(created_at=created_at), labeled()], ZONES)
    assert counted.hours == {"newyork": {"bridge|1|22": 1}}
    assert counted.days == {"newyork": {"2017-03-28": 1}}
    assert counted.without_time == 1
    assert counted.posts == {"newyork": {"bridge": 2}}


def test_a_time_that_has_no_tomorrow_is_in_no_hour() -> None:
    assert hour_of("9999-12-31T23:59:59Z", "sydney") == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"encoder": "other"},
        {"places": "other@00000000"},
        {"decision": {"ensemble": "conditional", "weights": [0.8, 0.2], "gate": 0.6, "threshold": 0.3}},
        {"decision": {"ensemble": "ensemble", "weights": [0.8, 0.8], "gate": 0.6, "threshold": 0.3}},
        {"decision": {"ensemble": "conditional", "weights": [0.8, 0.8], "gate": 0.7, "threshold": 0.3}},
        {"decision": {"ensemble": "conditional", "weights": [0.8, 0.8], "gate": 0.6, "threshold": 0.35}},
        {"decision": {"ensemble": "conditional", "weights": [0.8, 0.8], "gate": 0.6, "threshold": 0.3}},
    ],
)
def test_whatever_changes_a_label_changes_the_stamp(changes: dict[str, Any]) -> None:
    assert stamp_of(labeled()) == STAMP
    assert tally([labeled(), labeled(**changes), labeled()], ZONES).stamps == {
        STAMP: 2,
        stamp_of(labeled(**changes)): 1,
    }
    assert stamp_of(labeled(**changes)) != STAMP


def test_counting_in_parts_is_counting_the_whole() -> None:
    posts = [labeled(**changes) for changes in golden("redis_keys")["changes"]]
    whole, parts = tally(posts, ZONES), Tally()
    for post in posts:
        part = tally([post], ZONES)
        before = {name: Counter(fields) for name, fields in part.hashes().items()}
        parts.merge(part)
        assert part.hashes() == before
    assert parts == whole


def test_merging_leaves_the_other_as_it_was() -> None:
    first, other = Tally(), tally([labeled()], ZONES)
    first.merge(other)
    first.add(labeled(), ZONES)
    assert other == tally([labeled()], ZONES)
