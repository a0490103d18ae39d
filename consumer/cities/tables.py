"""The numbers of the popularity page as CSV, unrounded."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple
from typing import Any

from consumer.cities.corrected import Corrected
from consumer.cities.figures import CityReport, Distance
from consumer.count.counters import NOT_CLASSIFIED
from consumer.count.figures import WEEKDAYS, week
from consumer.evaluate.pages.files import table


def places(found: Sequence[CityReport], corrected: Mapping[tuple[str, str], Corrected]) -> str:
    """A row per city and place."""
    columns = (
        "city",
        "place",
        "posts",
        "of_all",
        "share_of_all",
        "share_of_all_low",
        "share_of_all_high",
        "of_classified",
        "share_of_classified",
        "share_of_classified_low",
        "share_of_classified_high",
        "not_classified",
        "bound_low",
        "bound_high",
        "location_quotient",
        "ratio_to_others",
        "ratio_low",
        "ratio_high",
        "sentiment_mean",
        "sentiment_half_width",
        "sentiment_posts",
        "sentiment_scored_share",
        "precision",
        "judged",
        "corrected_share_of_all",
        "corrected_low",
        "corrected_high",
    )

    def rows() -> Iterator[tuple[Any, ...]]:
        for city in found:
            for place in city.places:
                every, of, ratio, mood = place.of_all, place.of_classified, place.ratio, place.mood
                right = corrected.get((city.figures.city, place.place))
                yield (
                    city.figures.city,
                    place.place,
                    every.k,
                    every.n,
                    every.share,
                    every.low,
                    every.high,
                    of.n,
                    of.share,
                    of.low,
                    of.high,
                    city.not_classified,
                    every.share,
                    place.highest,
                    place.quotient,
                    *((ratio.value, ratio.low, ratio.high) if ratio else (None,) * 3),
                    mood.mean,
                    mood.half,
                    mood.n,
                    mood.n / every.k,
                    *((right.precision, right.judged, right.share, right.low, right.high) if right else (None,) * 5),
                )

    return table(columns, rows())


def cities(found: Sequence[CityReport]) -> str:
    """A row per city."""
    columns = ("city", "posts", "classified", "not_classified", "known_local_time", "first_day", "last_day")
    rows = (
        (
            city.figures.city,
            city.figures.posts,
            city.figures.classified.k,
            city.not_classified,
            city.figures.known_local_time,
            city.figures.first_day,
            city.figures.last_day,
        )
        for city in found
    )
    return table(columns, rows)


def languages(found: Sequence[CityReport]) -> str:
    """A row per city and language; shares are of all the city's posts."""
    columns = ("city", "language", "posts", "of", "share", "low", "high")
    rows = (
        (city.figures.city, each.language, *astuple(each.share)) for city in found for each in city.figures.languages
    )
    return table(columns, rows)


def hours(hours: Mapping[str, Mapping[str, int]]) -> str:
    """A row per city, place, weekday and hour with posts; without a place: not classified."""

    def rows() -> Iterator[tuple[Any, ...]]:
        for city, fields in sorted(hours.items()):
            everything = week(fields)
            for field, posts in sorted(fields.items()):
                place, weekday, hour = field.rsplit("|", 2)
                total = everything[int(weekday)][int(hour)]
                name = "" if place == NOT_CLASSIFIED else place
                yield city, name, WEEKDAYS[int(weekday)], hour, posts, total, posts / total

    return table(("city", "place", "weekday", "hour", "posts", "all_posts_in_that_hour", "share"), rows())


def distances(apart: Sequence[Distance]) -> str:
    """A row per pair of cities."""
    columns = ("city", "other", "posts", "other_posts", "distance", "by_chance", "p", "p_holm")
    rows = ((each.city, each.other, *each.posts, each.distance, each.by_chance, each.p, each.p_holm) for each in apart)
    return table(columns, rows)
