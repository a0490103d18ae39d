"""A dataset as an ordered, lazy stream of posts: which kind of dataset a path holds.

Layouts of folders are read in `folders.py`, tables in `manifest.py`; both yield what is defined in `entry.py`.
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Protocol

from producer.base.errors import CommandError, UsageError
from producer.city import city_name, other_spellings
from producer.dataset import folders, manifest, table
from producer.dataset.entry import Entry, Refused

Dataset = folders.Folders | manifest.Manifest
"""An ordered stream of entries that can be gone through again and again."""


def open_dataset(path: Path, city: str | None = None, ids: str | None = None) -> Dataset:
    """The dataset at a path.

    Args:
        path: a folder, or a manifest's file.
        city: the city of posts that lie in no city's folder and have no city column.
        ids: ``instagram`` takes the creation time from the ids, ``plain`` does not; None decides by layout.

    Raises:
        CommandError: there is nothing, or nothing that is a dataset: the message says what was looked for.
        UsageError: the options do not fit the dataset.
    """
    if path.is_dir():
        return folders.find(path, city, ids)
    if not path.exists():
        raise CommandError(f"{path}: no such file or folder")
    if path.suffix.lower() not in table.ENDINGS:
        raise CommandError(f"{path}: not a dataset: a folder, or a manifest ending in {', '.join(table.ENDINGS)}")
    return manifest.Manifest(path, city, ids)


def entries_after(entries: Iterator[Entry | Refused], post_id: str) -> Iterator[Entry | Refused]:
    """What follows the first entry of that id; nothing but names is read on the way.

    Raises:
        CommandError: no entry has this id.
    """
    for entry in entries:
        if entry.post_id == post_id:
            return entries
    raise CommandError(f"--start-after {post_id}: the dataset (as chosen) has no post of this id")


class HasCities(Protocol):
    """A dataset, or what else has posts of cities."""

    def cities(self) -> Collection[str]: ...  # noqa: D102 # their names, sorted


def chosen_cities(cities: str | None, path: Path, dataset: HasCities) -> tuple[str, ...] | None:
    """The cities that the flag CITIES names, sorted; None for all.

    Raises:
        UsageError: a name is no city's, or the dataset has no such city.
    """
    if cities is None:
        return None
    try:
        chosen = {city_name(city) for city in cities.split(",") if city.strip()}
    except ValueError as error:
        raise UsageError(f"--cities: {error}") from None
    there = dataset.cities()
    if unknown := sorted(chosen.difference(there)):
        likely = [city for name in unknown for city in other_spellings(name, there)]
        near = f"it has {', '.join(likely)}; " if likely else ""
        raise UsageError(f"--cities {', '.join(unknown)}: not in {path}; {near}there are: {', '.join(there)[:1000]}")
    return tuple(sorted(chosen))
