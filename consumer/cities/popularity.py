"""The command `evaluate popularity`: which places each city photographs, when, and in what mood, as a page to read.

The figures are computed in `figures.py` and `corrected.py`, drawn in `plots.py`.
"""

import math
import re
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from kafka.errors import KafkaError
from prometheus_client import CollectorRegistry
from pydantic import Field, model_validator

from consumer.cities import tables as city_tables
from consumer.cities.corrected import Corrected, Judged, correct, judge
from consumer.cities.figures import CityReport, Distance, distances, reports, rounds_of
from consumer.count.connect import read_counters
from consumer.count.counters import Tally, tally
from consumer.count.figures import repeated
from consumer.count.known import KnownCities
from consumer.count.read import Reader
from consumer.count.settings import CounterSettings
from consumer.count.snapshot import Counters
from consumer.count.zones import load_zones
from consumer.evaluate.pages import files, page
from consumer.evaluate.samples.folder import Sample
from consumer.evaluate.scores.progress import progress
from consumer.metrics import CountMetrics
from producer.base.connect import connect
from producer.base.errors import CommandError
from producer.base.logs import setup
from producer.base.settings import load


class PopularityPageSettings(CounterSettings, page.PageSettings):
    """Write a page of which places each city photographs, when, and in what mood, with intervals and their limits.

    Reads the counters in Redis, or the labelled topic itself with --from-topic; to correct shares also a sample, its
    marks and its score folder. Writes one HTML file, and its figures as PNG and its numbers as CSV in a folder beside
    it.
    """

    from_topic: bool = Field(False, description="count the labelled topic, not Redis")
    top: int = Field(15, ge=1, description="places per city; the CSV has all")
    heat_maps: int = Field(3, ge=0, le=10, description="places per city whose hours are drawn")
    sample: Path | None = Field(None, description="the marked sample folder")
    marks: Path | None = Field(None, description="the filled sheet")
    sample_scores: Path | None = Field(None, description="the sample's score folder, if moved")
    seed: int = Field(205, ge=0, description="of random choices")

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.sample is None) != (self.marks is None):
            raise ValueError("--sample and --marks belong together")
        return self


@dataclass(frozen=True, slots=True)
class Counted:
    """What is shown: the counters, and where they come from."""

    counters: Counters
    source: str


def main(argv: list[str]) -> int:
    """Run `evaluate popularity`.

    Args:
        argv: flags of `PopularityPageSettings`.

    Raises:
        CommandError: no broker or Redis, nothing counted, or marks that do not fit.
    """
    settings = load(PopularityPageSettings, "python -m consumer evaluate popularity", argv)
    setup(settings)
    sample = None if settings.sample is None else Sample.open(settings.sample)
    counted = _from_topic(settings) if settings.from_topic else _from_redis(settings)
    stamps = counted.counters.stamps
    if len(stamps) > 1:
        print(
            f"warning: these posts were labelled with {len(stamps)} different settings, which do not compare "
            "(the page lists them)",
            file=sys.stderr,
        )
    if line := repeated(counted.counters):
        print(f"warning: {line}", file=sys.stderr)
    corrected: Mapping[tuple[str, str], Corrected] = {}
    judged: Judged | None = None
    if sample is not None and settings.marks is not None:
        if len(stamps) > 1:
            raise CommandError("--marks: the posts were labelled with several settings, and one precision fits none")
        judged = judge(sample, settings.marks, next(iter(stamps)), settings.sample_scores)
        if (warning := judged.strata.too_few) is not None:
            print(f"warning: {warning}", file=sys.stderr)
        corrected = correct(judged, counted.counters.posts, settings.seed)
    found = reports(counted.counters)
    _write(settings, counted, found, distances(counted.counters, settings.seed), corrected, judged)
    print(f"{settings.output}: {len(found)} cities, {sum(city.figures.posts for city in found):,} posts")
    return 0


def _from_redis(settings: PopularityPageSettings) -> Counted:
    counters = read_counters(settings, settings.startup_timeout)
    return Counted(counters, f"the counters {settings.counter_prefix} at {settings.redis_address} in Redis")


def _from_topic(settings: PopularityPageSettings) -> Counted:
    zones = load_zones(settings.cities_file)
    reader = Reader(settings, CountMetrics(CollectorRegistry()))
    everything, known = Tally(), KnownCities(zones)
    try:
        _, ends = connect(settings, reader.ends)
        for chunk in reader.read_whole(ends, "counting"):
            everything.merge(tally(known.posts(chunk.labeled, {}), zones))
    except KafkaError as error:
        raise CommandError(f"{settings.output_topic} could not be read: {error}; run it again") from None
    finally:
        reader.close()
    if not everything.posts:
        raise CommandError(f"no labelled post in {settings.output_topic} at {settings.bootstrap_servers}")
    return Counted(Counters.of(everything, reader.topic_id), f"the topic {settings.output_topic}")


@dataclass(frozen=True, slots=True)
class _Figures:
    """One city's figures, as addresses that hold them."""

    shares: str | None
    heat: str | None


def _write(
    settings: PopularityPageSettings,
    counted: Counted,
    found: Sequence[CityReport],
    apart: Sequence[Distance],
    corrected: Mapping[tuple[str, str], Corrected],
    judged: Judged | None,
) -> None:
    from consumer.cities import plots as city_plots

    folder = settings.folder
    pictures: dict[str, bytes | None] = {}
    figures = []
    with progress("figures of cities", len(found)) as advance:
        for number, city in enumerate(found, start=1):
            name = f"{number:02d}-{_file_name(city.figures.city)}"
            hours = counted.counters.hours.get(city.figures.city, {})
            shares = city_plots.shares(city, settings.top) if city.places else None
            heat = city_plots.heat(city, hours, settings.heat_maps)
            pictures |= {f"shares-{name}.png": shares, f"hours-{name}.png": heat}
            figures.append(_Figures(_address(shares), _address(heat)))
            advance(1)
    tested = [each for each in apart if each.tested]
    drawn = city_plots.distances(tested) if tested else None
    pictures["distances.png"] = drawn
    for name, png in pictures.items():
        if png is not None:
            files.write(folder / name, png)
    tables = {
        "places.csv": city_tables.places(found, corrected),
        "cities.csv": city_tables.cities(found),
        "languages.csv": city_tables.languages(found),
        "hours.csv": city_tables.hours(counted.counters.hours),
        "distances.csv": city_tables.distances(apart),
    }
    for name, table in tables.items():
        files.write(folder / name, files.BOM + table)
    files.write(
        settings.output,
        page.render(
            "popularity.html.j2",
            ("report.css",),
            cities=list(zip(found, figures, strict=True)),
            counted=counted,
            distances=tested,
            pairs=len(apart),
            tested=len({city for each in tested for city in (each.city, each.other)}),
            drawn=_address(drawn),
            corrected=corrected,
            judged=judged,
            repeated=repeated(counted.counters),
            settings=settings,
            rounds=rounds_of(len(tested)),
            infinite=math.inf,
            files=sorted([name for name, png in pictures.items() if png is not None] + list(tables)),
        ),
    )


def _address(png: bytes | None) -> str | None:
    return None if png is None else page.data_uri(png)


def _file_name(city: str) -> str:
    """The city's letters, of any script; what else its name holds is a hyphen."""
    return re.sub(r"\W+", "-", unicodedata.normalize("NFC", city))[:40].strip("-") or "city"
