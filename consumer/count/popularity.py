"""The command `popularity`: prints the figures of `popularity.py` as tables, JSON or CSV."""

import csv
import json
import math
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator
from rich import box
from rich.console import Console
from rich.table import Table

from consumer.classify.places import Places
from consumer.count.connect import read_counters
from consumer.count.counters import NOT_CLASSIFIED
from consumer.count.figures import (
    WEEKDAYS,
    CityFigures,
    PlaceFigures,
    Sentiment,
    Share,
    by_posts,
    groups_of,
    moods_of_any_language,
    popularity,
    repeated,
)
from consumer.count.known import OTHER
from consumer.count.settings import RedisSettings
from consumer.count.snapshot import Counters
from producer.base.errors import CommandError
from producer.base.settings import load
from producer.city import city_name, other_spellings, spelled_twice

By = Literal["place", "group", "hour", "weekday", "language"]
MISSING = "–"
MOST_CITIES = 100
"""Cities with a table each, unless all are asked for."""
MOST_NAMED = 20
"""Cities in a message."""


class PopularitySettings(RedisSettings):
    """Print which places each city photographs, how often, and in what mood; or groups of places, hours, languages."""

    city: str | None = Field(None, description="only this city")
    by: By = Field("place", description="rows: place, group (level 2 of the label set), hour, weekday or language")
    places: Path | None = Field(None, description="label set of the labels, for its groups (default: Places205)")
    top: int = Field(15, ge=0, description="places per city in the table; 0 = all")
    json_: bool = Field(False, alias="json", description="print all as JSON")
    csv_: bool = Field(False, alias="csv", description="print all as CSV")
    startup_timeout: float = Field(5.0, gt=0, description="seconds to keep trying to connect")

    @model_validator(mode="after")
    def _one_format(self) -> Self:
        if self.json_ and self.csv_:
            raise ValueError("--json and --csv exclude each other")
        return self


def main(argv: list[str]) -> int:
    """Run `popularity`.

    Args:
        argv: flags of `PopularitySettings`.

    Raises:
        CommandError: Redis does not answer, nothing is counted yet, or there is no such city.
    """
    settings = load(PopularitySettings, "python -m consumer popularity", argv)
    counters = read_counters(settings, settings.startup_timeout)
    city = None if settings.city is None else _city(settings.city, counters)
    is_table = not (settings.json_ or settings.csv_)
    most = MOST_CITIES if is_table and settings.top else None
    cities = sorted(by_posts(counters)[:most]) if city is None else [city]
    group_of = _group_of(settings, counters, cities) if settings.by == "group" or settings.json_ else {}
    figures = popularity(counters, cities, group_of)
    if len(counters.stamps) > 1:
        print(
            "warning: these counters mix labels of different encoders, label sets or settings, which do not compare:",
            *(f"  {posts:>9,} posts  {stamp}" for stamp, posts in sorted(counters.stamps.items())),
            sep="\n",
            file=sys.stderr,
        )
    if mixed := sum(moods_of_any_language(counters, each) for each in counters.sentiment):
        print(
            f"warning: at least {mixed:,} sentiments are of captions in any language, by an earlier version: their "
            "means do not compare with those of English captions alone",
            file=sys.stderr,
        )
    if city is None and (line := spelled_twice(counters.posts)):
        print(f"warning: {line}", file=sys.stderr)
    if line := repeated(counters):
        print(f"warning: {line}", file=sys.stderr)
    if settings.json_:
        _write_json(figures)
    elif settings.csv_:
        _write_csv(figures, settings.by)
    else:
        _print(figures, settings)
        if city is None and len(cities) < len(counters.posts):
            print(f"… and {len(counters.posts) - len(cities):,} more cities with fewer posts (--top 0 shows all)")
    return 0


def _group_of(settings: PopularitySettings, counters: Counters, cities: Iterable[str]) -> dict[str, str]:
    """The group of each place and broader answer; a warning where some posts have others.

    Raises:
        CommandError: the label set cannot be read, or the groups are asked for and it has none.
    """
    places = Places.load(settings.places)
    group_of = groups_of(places)
    if not group_of:
        if settings.by == "group":
            raise CommandError(f"the label set {places.name} has no level2: --places FILE names another")
        return {}
    known = {*group_of, NOT_CLASSIFIED}
    hashes = (hashes.get(city, {}) for city in cities for hashes in (counters.posts, counters.broader))
    if strange := sum(n for fields in hashes for name, n in fields.items() if name not in known):
        print(
            f"warning: {strange:,} posts are of places or groups that the label set {places.name} does not have; their "
            f"group is {OTHER}: --places FILE names theirs",
            file=sys.stderr,
        )
    return group_of


def _city(text: str, counters: Counters) -> str:
    """The city that is meant: by its name as it is counted, for labels from before, or as posts carry it."""
    if text in counters.posts:
        return text
    with suppress(ValueError):
        if (city := city_name(text)) in counters.posts:
            return city
    likely = other_spellings(text, counters.posts)
    there = ", ".join(likely[:MOST_NAMED]) if likely else _some(counters)
    raise CommandError(f"no city {text!r}; there {'is' if len(likely) == 1 else 'are'} {there}")


def _some(counters: Counters) -> str:
    named = sorted(by_posts(counters)[:MOST_NAMED])
    others = len(counters.posts) - len(named)
    return ", ".join(named) + (f" and {others:,} with fewer posts" if others else "")


def _print(figures: Iterable[CityFigures], settings: PopularitySettings) -> None:
    console = Console(markup=False, emoji=False, highlight=False)  # names of cities and places are others' text
    for city in figures:
        console.print(_place_table(city, settings.top) if settings.by == "place" else _bars(city, settings.by))
        console.print()


def _place_table(city: CityFigures, top: int) -> Table:
    title = f"{city.city}: {city.posts:,} posts, {_fates(city)}"
    table = _table(title, "place", "posts", "share", "95 % CI", "quotient", "sentiment", "n")
    shown = city.places[: top or None]
    for place in shown:
        share = place.share
        table.add_row(
            place.place,
            f"{share.k:,}",
            f"{share.share:.1%}",
            _interval(share),
            MISSING if place.quotient is None else f"{place.quotient:.2f}",
            _mood(place.sentiment),
            f"{place.sentiment.n:,}",
        )
    below = []
    if len(shown) < len(city.places):
        below.append(f"… and {len(city.places) - len(shown)} more places (--top 0 shows all)")
    if spoken := city.spoken:
        below.append("languages: " + ", ".join(f"{share:.0%} {name}" for name, share in spoken))
    table.caption = "\n".join(below) or None
    return table


def _fates(city: CityFigures) -> str:
    """What became of the posts."""
    not_classified = city.posts - city.classified.k
    some = f" ({city.broader.k:,} with a broader answer)" if city.broader.k else ""
    return f"{city.classified.k:,} classified, {not_classified:,} not classified{some}"


def _bars(city: CityFigures, by: By) -> Table | str:
    rows = _rows(city, by)
    known, what = city.known_local_time, "local time"
    if by == "language":
        known, what = sum(share.k for _, share in rows), "language"
    title = f"{city.city}: {known:,} of {city.posts:,} posts with a known {what}"
    if by == "group":
        title = f"{city.city}: {city.posts:,} posts, {_fates(city)}"
    if not rows:
        return title
    table = _table(title, by, "posts", "share", "95 % CI")
    table.add_column("")
    if by in ("hour", "weekday") and city.first_day is not None:
        table.caption = f"posted from {city.first_day} to {city.last_day}"
    most = max(share.k for _, share in rows)
    for row, share in rows:
        bar = "█" * round(20 * share.k / most)
        table.add_row(_name(row, by), f"{share.k:,}", f"{share.share:.1%}", _interval(share), bar)
    return table


def _rows(city: CityFigures, by: By) -> list[tuple[str | int, Share]]:
    """What has a bar: each group, hour, weekday or language, and its share."""
    if by == "group":
        return [(each.group, each.share) for each in city.groups]
    if by == "language":
        return [(each.language, each.share) for each in city.languages]
    return [(each.when, each.share) for each in (city.hours if by == "hour" else city.weekdays)]


def _table(title: str, first: str, *numbers: str) -> Table:
    """A table whose longest names fit beside all numbers into 80 columns; in less, names go over two lines."""
    table = Table(
        title=title,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column(first, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _interval(share: Share) -> str:
    return f"{100 * share.low:.1f}–{100 * share.high:.1f}%"


def _mood(sentiment: Sentiment) -> str:
    """As wide as its heading: half an interval is far below 1."""
    return f"{sentiment.mean:+.2f}±{sentiment.half:.2f}".replace("±0", "±") if sentiment.enough else MISSING


def _name(row: str | int, by: By) -> str:
    if isinstance(row, str):
        return row
    return f"{row:02d}:00" if by == "hour" else WEEKDAYS[row]


def _write_json(figures: Iterable[CityFigures]) -> None:
    """A list, city by city: all of them at once may be a hundred thousand."""
    begin = "[\n  "
    for city in figures:
        text = json.dumps(_plain(city), ensure_ascii=False, indent=2)
        print(begin, text.replace("\n", "\n  "), sep="", end="")
        begin = ",\n  "
    print("\n]")


def _write_csv(figures: Iterable[CityFigures], by: By) -> None:
    writer = csv.writer(sys.stdout)
    share = ("posts", "of", "share", "low", "high")
    if by == "group":
        writer.writerow(("city", by, *share, "broader"))
    elif by == "place":
        sentiment = ("sentiment_mean", "sentiment_n", "not_classified", "sentiment_half_width")
        writer.writerow(("city", "place", *share, "location_quotient", *sentiment))
    else:
        writer.writerow(("city", by, *share))
    for city in figures:
        if by == "place":
            writer.writerows(_place_row(city, place) for place in city.places)
        elif by == "group":
            writer.writerows(
                (city.city, each.group, *asdict(each.share).values(), each.broader) for each in city.groups
            )
        else:
            writer.writerows((city.city, row, *asdict(share).values()) for row, share in _rows(city, by))


def _place_row(city: CityFigures, place: PlaceFigures) -> tuple[Any, ...]:
    mood = place.sentiment
    mean, half = (mood.mean, mood.half) if mood.enough else ("", "")
    quotient = "" if place.quotient is None else place.quotient
    counted = asdict(place.share).values()
    not_classified = city.posts - city.classified.k
    return (city.city, place.place, *counted, quotient, mean, mood.n, not_classified, half)


def _plain(value: Any) -> Any:
    """For JSON: dataclasses become objects, not-a-number becomes null."""
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
