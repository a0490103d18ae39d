"""Datasets that are folders: InstaCities1M, InstaNY100K and their like, or simply a folder of pictures.

Memory: the names of one city are held and sorted at a time (100,000 names are about 20 MB); never those of all.
"""

import logging
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from producer.base.errors import CommandError, UsageError
from producer.dataset import instagram
from producer.dataset.entry import Entry, Refused, shown
from producer.post import check_city

log = logging.getLogger(__name__)

PICTURES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"))
"""Endings of a picture's file, in lower case."""

SPLITS = frozenset(("train", "val", "valid", "validation", "test"))
DEPTH = 4
"""How many folders may lie between the img folder and a city: cities_instagram, a split, and room."""


@dataclass(frozen=True, slots=True)
class _Folder:
    """One folder of pictures, and the folders in which a picture's caption may lie, the best first."""

    pictures: Path
    captions: tuple[Path, ...]


class Folders:
    """Cities and their folders; a city's folders (its splits) are gone through as one, sorted by stem."""

    def __init__(self, cities: dict[str, list[_Folder]], instagram_ids: bool) -> None:
        self._cities = {city: cities[city] for city in sorted(cities)}
        self._instagram_ids = instagram_ids

    def cities(self) -> Collection[str]:
        """The cities there are, sorted."""
        return list(self._cities)

    def entries(self, cities: Collection[str] | None = None) -> Iterator[Entry | Refused]:
        """Sorted by city, then by stem. Of two pictures with one stem in a city the first counts."""
        now = datetime.now(UTC)
        for city, folders in self._cities.items():
            if cities is not None and city not in cities:
                continue
            # Sorted by stem, not by name: "1.jpg" follows "1-a.jpg" by name. The folder's number keeps it light.
            names = sorted(
                (os.path.splitext(name)[0], number, name)
                for number, folder in enumerate(folders)
                for name in _pictures_in(folder.pictures)
            )
            last = None
            for stem, number, name in names:
                folder = folders[number]
                if stem == last:
                    log.warning("%s: a second picture of this post; the first is taken", shown(folder.pictures / name))
                    continue
                last = stem
                captions = tuple(captions / f"{stem}.txt" for captions in folder.captions)
                created_at = instagram.created_at(stem, now) if self._instagram_ids else None
                yield Entry(stem, city, folder.pictures / name, captions, created_at)

    def count(self, cities: Collection[str] | None = None) -> int:
        """How many pictures there are (twice the same stem counts twice)."""
        return sum(
            sum(1 for _ in _pictures_in(folder.pictures))
            for city, folders in self._cities.items()
            if cities is None or city in cities
            for folder in folders
        )


def find(path: Path, city: str | None, ids: str | None) -> Folders:
    """The dataset in, around or just below a folder: ``img*`` with its twin ``captions*``; or simply pictures in it.

    Args:
        path: an existing folder.
        city: the city of a plain folder of pictures; None takes the folder's name.
        ids: ``instagram`` reads the time from ids, ``plain`` does not; None decides by layout.

    Raises:
        CommandError: no layout is recognised, or no picture is in it.
        UsageError: several datasets, or a city given to a dataset that has its own.
    """
    if (images := _enclosing_images(path)) is not None:
        cities = _cities(images, _twin(images), path, city)
    elif found := _images_below(path):
        if len(found) > 1:
            names = ", ".join(str(folder) for folder in found)
            raise UsageError(f"{path} holds several datasets; name one of them: {names}")
        cities = _cities(found[0], _twin(found[0]), found[0], city)
    elif any(_pictures_in(path)):
        return Folders({_city(city or path.resolve().name, path): [_Folder(path, (path,))]}, ids == "instagram")
    else:
        raise CommandError(
            f"{path}: no dataset found; looked for img*/…/<city>/<id>.jpg with captions*/…/<city>/<id>.txt "
            f"(InstaCities1M, InstaNY100K), or pictures ({', '.join(sorted(PICTURES))}) in the folder itself"
        )
    return Folders(cities, ids != "plain")


def _images_below(path: Path) -> list[Path]:
    """The img* folders directly in a folder, else those one level further down (an enclosing folder)."""
    folders = _folders_in(path)
    return [f for f in folders if _is_images(f)] or [
        f for outer in folders for f in _folders_in(outer) if _is_images(f)
    ]


def _enclosing_images(path: Path) -> Path | None:
    """The img* folder that the path is, or lies in: with a captions twin, for any folder's name may begin with img."""
    real = path.resolve()
    if _is_images(real) and not any(_pictures_in(real)):
        return real
    candidates = [real, *real.parents[:DEPTH]]
    return next((folder for folder in candidates if _is_images(folder) and _twin(folder) is not None), None)


def _is_images(folder: Path) -> bool:
    return folder.name.lower().startswith("img")


def _twin(images: Path) -> Path | None:
    """``captions`` with the same rest of the name as ``img``, else the only ``captions*`` folder beside it."""
    beside = [folder for folder in _folders_in(images.parent) if folder.name.lower().startswith("captions")]
    rest = images.name[len("img") :].lower()
    same = [folder for folder in beside if folder.name[len("captions") :].lower() == rest]
    return same[0] if same else beside[0] if len(beside) == 1 else None


def _cities(images: Path, captions: Path | None, under: Path, city: str | None) -> dict[str, list[_Folder]]:
    """Every folder at or below `under` that holds pictures, by city; a city is the folder's name."""
    if captions is None:
        log.warning("%s: no captions* folder beside it; the posts have no captions", images)
    cities: dict[str, list[_Folder]] = {}
    for folder in _picture_folders(under.resolve(), DEPTH):
        inner = folder.relative_to(images.resolve())
        twins = []
        if captions is not None:
            joined = Path(*(part for part in inner.parts if part not in SPLITS))
            twins = [captions / part for part in dict.fromkeys((inner, joined))]
        name = inner.name if inner.parts and inner.name not in SPLITS else None
        if name is not None and city is not None:
            raise UsageError(f"--city is for pictures that lie in no city's folder; {folder} is one (see --cities)")
        cities.setdefault(_city(name or city or images.resolve().parent.name, folder), []).append(
            _Folder(folder, tuple(twins))
        )
    if not cities:
        raise CommandError(f"{under}: no picture ({', '.join(sorted(PICTURES))}) in it or in folders below it")
    return cities


def _picture_folders(folder: Path, depth: int) -> list[Path]:
    """The innermost folders with pictures: a stray picture beside the cities makes no city."""
    inner = [found for below in _folders_in(folder) for found in _picture_folders(below, depth - 1)] if depth else []
    return inner or ([folder] if any(_pictures_in(folder)) else [])


def _city(name: str, folder: Path) -> str:
    try:
        return check_city(name)
    except ValueError as error:
        raise CommandError(f"{str(folder)!r}: not a city's name: {error}") from None


def _folders_in(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as found:
            return sorted(Path(entry.path) for entry in found if not _hidden(entry) and entry.is_dir())
    except OSError as error:
        raise CommandError(f"{folder}: {error.strerror or error}") from None


def _pictures_in(folder: Path) -> Iterator[str]:
    """Names of a folder's picture files, in no order. Hidden ones are none (macOS leaves ``._x.jpg`` by ``x.jpg``)."""
    try:
        with os.scandir(folder) as found:
            for entry in found:
                if os.path.splitext(entry.name)[1].lower() in PICTURES and not _hidden(entry) and not entry.is_dir():
                    yield entry.name
    except OSError as error:
        raise CommandError(f"{folder}: {error.strerror or error}") from None


def _hidden(entry: "os.DirEntry[str]") -> bool:
    return entry.name.startswith(".")
