import math
from dataclasses import replace
from typing import Any

import pytest
from scipy.stats import binomtest

from consumer.count.figures import CityFigures, Share, popularity, repeated
from tests.labels import counted, counters


def of_posts(*posts: dict[str, Any]) -> list[CityFigures]:
    return list(popularity(counted(*posts)))


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        # R: prop.test(k, n, correct=FALSE); statsmodels: proportion_confint(k, n, method="wilson")
        (10, 100, 0.05522914, 0.17436566),
        (0, 10, 0.0, 0.27753279),
        (10, 10, 0.72246720, 1.0),
        (1, 1, 0.20654931, 1.0),
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, table I
        (15, 148, 0.0624, 0.1605),  # Newcombe 1998, table I
    ],
)
def test_the_interval_is_wilsons(k: int, n: int, low: float, high: float) -> None:
    share = Share.of(k, n)
    assert (share.k, share.n, share.share) == (k, n, k / n)
    assert share.low == pytest.approx(low, abs=5e-5)
    assert share.high == pytest.approx(high, abs=5e-5)


def test_the_interval_is_scipys() -> None:
    for k, n in ((0, 1), (1, 1), (3, 7), (24, 50), (999, 1000), (123_456, 1_000_000)):
        interval = binomtest(k, n).proportion_ci(0.95, method="wilson")
        assert (Share.of(k, n).low, Share.of(k, n).high) == pytest.approx((interval.low, interval.high), rel=1e-12)


@pytest.mark.parametrize("n", [1, 7, 1000])
def test_the_interval_is_the_solution_of_the_score_equation(n: int) -> None:
    z = 1.959963984540054
    for k in range(0, n + 1, max(1, n // 7)):
        share = Share.of(k, n)
        for bound in (share.low, share.high):
            assert abs(k / n - bound) == pytest.approx(z * math.sqrt(bound * (1 - bound) / n), abs=1e-9)


def test_a_share_of_nothing_is_not_a_number() -> None:
    share = Share.of(0, 0)
    assert (share.k, share.n) == (0, 0)
    assert math.isnan(share.share)
    assert math.isnan(share.low)
    assert math.isnan(share.high)


def test_the_quotient_is_the_share_here_by_the_share_everywhere() -> None:
    posts = {"sydney": {"coast": 3, "bridge": 1, "_not_classified": 96}, "newyork": {"bridge": 3, "tower": 1}}
    newyork, sydney = popularity(counters(posts))
    assert {figures.place: figures.quotient for figures in sydney.places} == {
        "coast": pytest.approx((3 / 4) / (3 / 8)),
        "bridge": pytest.approx((1 / 4) / (4 / 8)),
    }
    assert {figures.place: figures.quotient for figures in newyork.places} == {
        "bridge": pytest.approx((3 / 4) / (4 / 8)),
        "tower": pytest.approx((1 / 4) / (1 / 8)),
    }


def test_a_single_city_has_no_quotient() -> None:
    (only,) = of_posts({}, {"place": "tower"})
    assert [figures.quotient for figures in only.places] == [None, None]


def test_shares_are_of_the_classified_posts_and_places_come_by_number_then_name() -> None:
    (city,) = of_posts({}, {"place": "tower"}, {"place": "tower"}, {"place": "alley"}, {"place": None}, {"place": None})
    assert city.posts == 6
    assert (city.classified.k, city.classified.n) == (4, 6)
    assert [(figures.place, figures.share.k, figures.share.n) for figures in city.places] == [
        ("tower", 2, 4),
        ("alley", 1, 4),
        ("bridge", 1, 4),
    ]


def test_languages_are_shares_of_all_posts_and_the_rest_is_named() -> None:
    languages = ["en"] * 5 + ["de", "de", "fr", "it", "es", "tr"] + [None] * 9
    (city,) = popularity(counted(*({"language": language} for language in languages)))
    assert [(each.language, each.share.k, each.share.n) for each in city.languages] == [
        ("en", 5, 20),
        ("de", 2, 20),
        *((language, 1, 20) for language in ("es", "fr", "it", "tr")),
    ]
    assert city.spoken == [
        ("en", 0.25),
        ("de", 0.1),
        ("es", 0.05),
        ("others", pytest.approx(0.15)),
        ("not known", pytest.approx(0.45)),
    ]


@pytest.mark.parametrize(
    ("posts", "mixed"),
    [
        ([{}, {"language": None, "sentiment": None}, {"language": "de", "sentiment": None}, {"sentiment": None}], 0),
        ([{"language": ...}] * 3, 3),
        ([{}, {"language": ...}], 1),
    ],
)
def test_sentiments_of_any_language_are_seen_among_those_of_english_captions(posts: list[Any], mixed: int) -> None:
    (city,) = popularity(counted(*posts))
    assert city.moods_of_any_language == mixed
    assert (city.spoken == []) == (mixed == 3)


def test_the_mean_sentiment_is_of_those_posts_that_have_one_from_thirty_on() -> None:
    (city,) = of_posts(
        *[{"sentiment": 0.5}] * 15,
        *[{"sentiment": -0.1}] * 15,
        {"sentiment": None},
        {"place": None, "sentiment": 1},
        {"place": "tower", "sentiment": None},
    )
    bridge, tower = city.places
    assert bridge.sentiment.half == pytest.approx(1.96 * 0.3 / math.sqrt(29), rel=1e-3)
    assert bridge.sentiment.mean == pytest.approx(0.2)
    assert bridge.sentiment.n == 30
    assert tower.sentiment.n == 0
    assert math.isnan(tower.sentiment.mean)


def test_a_city_of_which_nothing_is_classified_has_no_places() -> None:
    (city,) = of_posts({"place": None}, {"place": None})
    assert city.places == []
    assert (city.classified.k, city.classified.n) == (0, 2)


def test_hours_and_weekdays_are_local_and_include_posts_without_a_place() -> None:
    (city,) = of_posts(
        {"created_at": "2017-03-29T02:30:00Z"},  # Tuesday 22:30
        {"created_at": "2017-03-29T02:30:00Z", "place": None},
        {"created_at": "2017-03-29T13:00:00Z", "place": "temple/east_asia"},  # Wednesday 9:00
        {"created_at": None},
    )
    assert [hour.when for hour in city.hours] == list(range(24))
    assert {hour.when: (hour.share.k, hour.share.n) for hour in city.hours if hour.share.k} == {22: (2, 3), 9: (1, 3)}
    assert [day.when for day in city.weekdays] == list(range(7))
    assert {day.when: (day.share.k, day.share.n) for day in city.weekdays if day.share.k} == {1: (2, 3), 2: (1, 3)}


def test_without_any_local_time_there_are_no_hours() -> None:
    (city,) = of_posts({"created_at": None})
    assert (city.hours, city.weekdays, city.first_day, city.last_day) == ([], [], None, None)


def test_the_first_and_last_day_are_local() -> None:
    (city,) = of_posts({"created_at": "2017-07-01T03:59:59Z"}, {}, {"created_at": "2017-06-01T12:00:00Z"})
    assert (city.first_day, city.last_day) == ("2017-03-28", "2017-06-30")


def test_days_that_hold_fewer_posts_than_the_hours_tell_no_dates() -> None:
    posts = {"newyork": {"bridge": 3}}
    hours = {"newyork": {"bridge|1|22": 3}}
    for days in ({}, {"2017-03-28": 2}, {"2017-03-28": 2, "2017-03-29": 0}):
        (city,) = popularity(counters(posts=posts, hours=hours, days={"newyork": days}))
        assert (city.first_day, city.last_day) == (None, None)
    (city,) = popularity(counters(posts=posts, hours=hours, days={"newyork": {"2017-03-28": 3, "2017-03-29": 0}}))
    assert (city.first_day, city.last_day) == ("2017-03-28", "2017-03-28")


def test_cities_come_by_name() -> None:
    assert [city.city for city in of_posts({"city": "sydney"}, {"city": "london"}, {})] == [
        "london",
        "newyork",
        "sydney",
    ]


def test_nothing_counted_is_nothing() -> None:
    assert list(popularity(counters({}))) == []


@pytest.mark.parametrize(
    ("ids", "of", "is_said"),
    [
        (10_300, 20_600, True),
        (300, 600, True),
        (9_700, 10_000, False),  # 3 %: may be the estimate's error
        (9_500, 10_000, True),
        (5, 14, False),  # a few may have one hash
        (5, 15, True),
        (10_100, 10_000, False),
        (0, 0, False),  # counters of before
    ],
)
def test_posts_whose_ids_came_before_are_said_where_they_are_more_than_an_error(
    ids: int, of: int, is_said: bool
) -> None:
    line = repeated(replace(counted(), ids=ids, ids_of=of))
    assert (line is not None) == is_said
    assert line is None or line.startswith(f"{of:,} posts were counted, of only about {ids:,} different ids: ")
