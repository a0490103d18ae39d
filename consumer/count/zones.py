"""Which time zone each city has: busy hours are local."""

import csv
import logging
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

from consumer.count.known import OTHER
from producer.base.errors import CommandError
from producer.city import city_name
from producer.dataset.text import GUESSED, decode, delimiter_of

log = logging.getLogger(__name__)


def load_zones(path: Path | None = None) -> Mapping[str, ZoneInfo]:
    """City -> time zone.

    Args:
        path: a CSV with the columns ``city,zone`` (IANA names); None is InstaCities' ten cities. A city's zone is that
            of its name as posts carry it, and of the name as it is written: labels from before may have that one.

    Raises:
        CommandError: one line that says what is wrong with the file, and where.
    """
    where = str(path or "cities.csv")
    try:
        text, certain = decode((path or files(__package__) / "cities.csv").read_bytes())
    except OSError as error:
        raise CommandError(f"cannot read the cities file {where}: {error} (CITIES_FILE)") from None
    if not certain:
        log.warning("%s: %s", where, GUESSED)
    written = text.splitlines()
    rows = csv.DictReader(written, delimiter=delimiter_of(written[0] if written else "", ("city", "zone")))
    if not {"city", "zone"} <= set(rows.fieldnames or ()):
        raise CommandError(f"{where} needs the columns city,zone; it has {','.join(rows.fieldnames or ())}")
    zones: dict[str, ZoneInfo] = {}
    for row in rows:
        try:
            zone = ZoneInfo(row["zone"])
        except (KeyError, ValueError, TypeError, OSError):
            raise CommandError(f"{where} line {rows.line_num}: {row['zone']!r} is no IANA time zone") from None
        try:
            name = city_name(row["city"] or "")
        except ValueError as error:
            raise CommandError(f"{where} line {rows.line_num}: {error}") from None
        if zones.setdefault(name, zone) != zone:
            raise CommandError(f"{where} line {rows.line_num}: {name} has another zone above: {zones[name]}")
        zones[row["city"]] = zone
    if OTHER in zones:
        raise CommandError(f"{where}: no city can have the name {OTHER}: posts of many cities count under it")
    return zones
