from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consumer.board import wall as module
from consumer.board.wall import Filter, Wall
from consumer.count.counters import NOT_CLASSIFIED
from consumer.record import SourceRecord
from tests.labels import labeled


def filled(posts: int, most: int = 100, size: int = 2**20) -> Wall:
    wall = Wall(most, size)
    for number in range(posts):
        wall.add(0, number, labeled(post_id=str(number)), b"x" * 1000)
    return wall


def offsets(wall: Wall, wanted: Filter | None = None, limit: int = 100, after: int = 0) -> list[int]:
    return [shown.offset for shown in wall.latest(wanted or Filter(), limit, after)[0]]


def test_the_latest_posts_stay_newest_first() -> None:
    assert offsets(filled(25, most=10)) == list(range(24, 14, -1))
    assert offsets(filled(25, most=10), limit=3) == [24, 23, 22]


def test_posts_leave_when_their_records_take_too_many_bytes() -> None:
    assert offsets(filled(25, size=5_500)) == [24, 23, 22, 21, 20]


def test_only_what_came_since_is_told() -> None:
    wall = filled(5)
    _, number = wall.latest(Filter(), 100)
    assert offsets(wall, after=number) == []
    wall.add(1, 7, labeled(), b"{}")
    assert offsets(wall, after=number) == [7]


def test_filters_choose_by_city_place_and_what_decided() -> None:
    wall = Wall(100, 2**20)
    sure: dict[str, Any] = {"place": "bridge", "city": "london", "decided_by": "image"}
    posts: list[dict[str, Any]] = [
        {},
        {"place": None},
        {"place": None, "city": "sydney"},
        {"decided_by": "ensemble"},
        {"place": "alley"},
    ]
    for offset, changes in enumerate(posts):
        wall.add(0, offset, labeled(**(sure | changes)), b"{}")
    assert offsets(wall, Filter(city="sydney")) == [2]
    assert offsets(wall, Filter(place=NOT_CLASSIFIED)) == [2, 1]
    assert offsets(wall, Filter(place="bridge", by="image")) == [0]
    assert offsets(wall, Filter(by="ensemble")) == [3]
    assert wall.choices() == (["london", "sydney"], ["alley", "bridge"])


def test_a_filter_offers_the_cities_that_most_posts_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CHOICES", 2)
    wall = Wall(10, 2**20)
    for offset, city in enumerate(["b", "c", "a", "b", "a"]):
        wall.add(0, offset, labeled(city=city), b"")
    assert wall.choices()[0] == ["a", "b"]


def test_a_post_is_found_while_it_is_on_the_wall() -> None:
    wall = filled(25, most=10)
    found = wall.find(0, 20)
    assert found is not None
    assert found.post.post_id == "20"
    assert wall.find(0, 3) is None
    assert wall.find(1, 20) is None


def test_a_posts_latest_label_is_found_by_its_record_while_it_is_on_the_wall() -> None:
    wall = Wall(3, 2**20)
    source = SourceRecord(topic="posts", partition=1, offset=7)
    assert wall.label_of(source) is None
    for offset in (0, 1):
        wall.add(0, offset, labeled(source=dict(source)), b"")
    for offset in (2, 3):  # the first of them leaves
        wall.add(0, offset, labeled(source=dict(source, offset=offset)), b"")
    found = wall.label_of(source)
    assert found is not None
    assert found.offset == 1
    wall.add(0, 4, labeled(source=dict(source, offset=4)), b"")
    assert wall.label_of(source) is None


def test_the_age_is_the_newest_labels() -> None:
    wall = Wall(10, 2**20)
    assert wall.status().age is None
    now = datetime.now(UTC)
    for seconds in (100, 20, 60):
        wall.add(0, seconds, labeled(labeled_at=(now - timedelta(seconds=seconds)).isoformat()), b"{}")
    age = wall.status().age
    assert age is not None
    assert 20 <= age < 25
    assert wall.status().kept == 3


def test_what_is_wrong_is_told_until_it_is_right() -> None:
    wall = Wall(10, 2**20)
    assert wall.status().trouble, "nothing has been heard of the broker yet"
    wall.say(None)
    assert wall.status().trouble is None
    wall.say("lost")
    assert wall.status().trouble == "lost"
