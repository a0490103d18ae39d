"""Datasets that are folders: InstaCities1M, InstaNY100K and their like, or simply a folder of pictures.

Memory: the names of one city are held and sorted at a time (100,000 names are about 20 MB); never those of all.
"""

import logging
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from producer.base.errors import CommandError, UsageError
from producer.city import city_name, spelled_twice
from producer.dataset import captions, instagram
from producer.dataset.entry import Entry, Refused, shown
from producer.dataset.notices import Notices
from producer.pictures import endings

log = logging.getLogger(__name__)

SPLITS = frozenset(("train", "val", "valid", "validation", "test"))
SYSTEM = frozenset(("@eadir", "@recycle", "#recycle", "#snapshot", "$recycle.bin", "__macosx", "lost+found"))
"""Folders that no person made, in lower case: thumbnails and waste baskets. They are passed over like hidden ones."""

MOST_NAMED = 12
"""Endings that are named of files that are left out, the most frequent first."""

DEPTH = 4
"""How many folders may lie between the img folder and a city: cities_instagram, a split, and room."""


@dataclass(frozen=True, slots=True)
class _Folder:
    """One folder of pictures, and the folders in which a picture's caption may lie, the best first."""

    pictures: Path
    captions: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class _Beside:
    """Pictures that make no posts, since their folder is taken for no city's.

    Attributes:
        folder: theirs.
        below: whether it lies below the folder of a city; else it holds folders of cities.
    """

    folder: Path
    below: bool


@dataclass(slots=True)
class _Unused:
    """Files that make no posts: counted while folders are gone through.

    Attributes:
        endings: of files that are neither pictures nor captions.
        seconds: pictures that differ from another one of their city in the ending, or the folder, alone.
        second: the first of them.
    """

    endings: Counter[str] = field(default_factory=Counter)
    seconds: int = 0
    second: Path | None = None

    def lines(self) -> Iterator[str]:
        """What is said of them, a line for each kind."""
        if self.endings:
            yield left_out(self.endings)
        if self.second:
            first = shown(self.second)
            yield f"left out: {self.seconds} second pictures of posts, whose first is taken (first: {first})"


class Folders:
    """Cities and their folders; a city's folders (its splits) are gone through as one, sorted by stem."""

    def __init__(self, path: Path, cities: dict[str, list[_Folder]], instagram_ids: bool) -> None:
        self._path = path
        self._cities = {city: cities[city] for city in sorted(cities)}
        self._instagram_ids = instagram_ids
        self._notices = Notices()
        if line := spelled_twice(self._cities):
            self._notices.say(f"{shown(path)}: {line}")

    def cities(self) -> Collection[str]:
        """The cities there are, sorted."""
        return list(self._cities)

    def entries(self, cities: Collection[str] | None = None) -> Iterator[Entry | Refused]:
        """Sorted by city, then by stem. Of two pictures with one stem in a city the first counts.

        Files that are no pictures, and second pictures, are said at the end, with their number.
        """
        now, unused = datetime.now(UTC), _Unused()
        self._notices.begin()
        try:
            for city, folders in self._cities.items():
                if cities is None or city in cities:
                    yield from self._entries(city, folders, now, unused)
        finally:
            self._notices.say_numbers()
            for line in unused.lines():
                self._notices.say(f"{shown(self._path)}: {line}")

    def _entries(self, city: str, folders: list[_Folder], now: datetime, unused: _Unused) -> Iterator[Entry]:
        # Sorted by stem, not by name: "1.jpg" follows "1-a.jpg" by name. The folder's number keeps it light.
        names = sorted(
            (os.path.splitext(name)[0], number, name)
            for number, folder in enumerate(folders)
            for name in _pictures_in(folder.pictures, unused.endings)
        )
        last = None
        for stem, number, name in names:
            folder = folders[number]
            if stem == last:
                unused.seconds += 1
                unused.second = unused.second or folder.pictures / name
                continue
            last = stem
            created_at = instagram.created_at(stem, now) if self._instagram_ids else None
            texts = captions.candidates(stem, folder.captions)
            yield Entry(stem, city, folder.pictures / name, texts, created_at, notices=self._notices)

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
        with suppress(CommandError):  # folders that nobody may read are not asked for
            _say_beside([_Beside(folder, below=True) for folder in _folders_in(path) if any(_pictures_in(folder))])
        name = _city(city or path.resolve().name, path)
        return Folders(path, {name: [_Folder(path, (path,))]}, ids == "instagram")
    else:
        unused = _Unused()
        any(_pictures_in(path, unused.endings))
        raise CommandError(
            f"{path}: no dataset found; looked for img*/…/<city>/<id>.jpg with captions*/…/<city>/<id>.txt "
            f"(InstaCities1M, InstaNY100K), or pictures ({', '.join(sorted(endings()))}) in the folder itself"
            + "".join(f"; {line}" for line in unused.lines())
        )
    return Folders(path, cities, ids != "plain")


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


def _cities(images: Path, texts: Path | None, under: Path, city: str | None) -> dict[str, list[_Folder]]:
    """Every folder at or below `under` that holds pictures, by city; a city is the folder's name."""
    if texts is None:
        log.warning("%s: no captions* folder beside it; the posts have no captions", images)
    cities: dict[str, list[_Folder]] = {}
    beside: list[_Beside] = []
    for folder in _picture_folders(under.resolve(), DEPTH, beside):
        inner = folder.relative_to(images.resolve())
        twins = []
        if texts is not None:
            joined = Path(*(part for part in inner.parts if part not in SPLITS))
            twins = [captions.folder_of(part, texts) for part in dict.fromkeys((inner, joined))]
        name = inner.name if inner.parts and inner.name not in SPLITS else None
        if name is not None and city is not None:
            raise UsageError(f"--city is for pictures that lie in no city's folder; {folder} is one (see --cities)")
        cities.setdefault(_city(name or city or images.resolve().parent.name, folder), []).append(
            _Folder(folder, tuple(twins))
        )
    if not cities:
        raise CommandError(f"{under}: no picture ({', '.join(sorted(endings()))}) in it or in folders below it")
    _say_beside(beside)
    return cities


def _picture_folders(folder: Path, depth: int, beside: list[_Beside]) -> list[Path]:
    """The folders of cities.

    They are the innermost ones with pictures: a stray picture beside the cities makes no city. But a folder that has as
    many pictures as those below it together is a city's, with something put away (``duplicates``).

    Args:
        folder: to look at, and below.
        depth: how many folders below it are looked into.
        beside: is told what makes no city.
    """
    further: list[_Beside] = []
    inner = (
        [found for below in _folders_in(folder) for found in _picture_folders(below, depth - 1, further)]
        if depth
        else []
    )
    if not inner or not any(_pictures_in(folder)):
        beside += further
        return inner or ([folder] if any(_pictures_in(folder)) else [])
    own = sum(1 for _ in _pictures_in(folder))
    if sum(1 for _ in islice((name for each in inner for name in _pictures_in(each)), own + 1)) > own:
        beside += [*further, _Beside(folder, below=False)]
        return inner
    beside += [_Beside(each, below=True) for each in inner]
    return [folder]


def _say_beside(beside: Iterable[_Beside]) -> None:
    """Name the pictures that make no posts."""
    for below, what in ((True, "below the folders of cities"), (False, "beside the folders of cities")):
        if found := {each.folder: sum(1 for _ in _pictures_in(each.folder)) for each in beside if each.below == below}:
            log.warning("pictures %s, left out: %d (first: %s)", what, sum(found.values()), shown(next(iter(found))))


def _city(name: str, folder: Path) -> str:
    try:
        return city_name(name)
    except ValueError as error:
        raise CommandError(f"{str(folder)!r}: not a city's name: {error}") from None


def _folders_in(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as found:
            return sorted(Path(entry.path) for entry in found if not _hidden(entry) and entry.is_dir())
    except OSError as error:
        raise CommandError(f"{folder}: {error.strerror or error}") from None


def _pictures_in(folder: Path, others: Counter[str] | None = None) -> Iterator[str]:
    """Names of a folder's picture files, in no order. Hidden ones are none (macOS leaves ``._x.jpg`` by ``x.jpg``).

    Args:
        folder: to look into.
        others: the endings of files that are neither pictures nor captions are counted here.
    """
    pictures = endings()
    try:
        with os.scandir(folder) as found:
            for entry in found:
                if _hidden(entry) or entry.is_dir():
                    continue
                ending = os.path.splitext(entry.name)[1].lower()
                if ending in pictures:
                    yield entry.name
                elif others is not None and ending != ".txt":
                    others[ending] += 1
    except OSError as error:
        raise CommandError(f"{folder}: {error.strerror or error}") from None


def left_out(others: Counter[str]) -> str:
    """One line on files that are no pictures by their endings (``.heic`` -> how many)."""
    kinds = [f"{n} {shown(Path(ending)) if ending else 'without an ending'}" for ending, n in others.most_common()]
    named = ", ".join(kinds[:MOST_NAMED]) + (" and more" if len(kinds) > MOST_NAMED else "")
    return f"left out: {named} (no endings of pictures that are read; save pictures as JPEG or PNG)"


def _hidden(entry: "os.DirEntry[str]") -> bool:
    return entry.name.startswith(".") or entry.name.lower() in SYSTEM
