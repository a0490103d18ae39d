"""Writes a small dataset in the layout of InstaCities1M, out of photographs that installed packages bring along.

The same packages give the same bytes: everything random comes from one seed.
"""

import hashlib
import json
import logging
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from PIL import Image, ImageEnhance, ImageOps
from pydantic import Field
from pydantic_settings import CliPositionalArg

from producer.base.errors import CommandError
from producer.base.settings import Settings, load
from producer.dataset import instagram
from producer.dataset.folders import left_out
from producer.dataset.text import decode
from producer.photographs import PHOTOGRAPHS
from producer.pictures import endings

log = logging.getLogger(__name__)

CITIES = {
    "chicago": "America/Chicago",
    "london": "Europe/London",
    "newyork": "America/New_York",
    "sanfrancisco": "America/Los_Angeles",
    "singapore": "Asia/Singapore",
    "sydney": "Australia/Sydney",
}
"""Cities of InstaCities1M, with the zone of their clocks."""

POSTS = 300
POSTS_PER_GIVEN = 4
"""Posts out of the packages' photographs, and out of each given picture."""

SIDE = 300
"""Width and height of a picture in pixels, as in InstaCities1M."""

FIRST_DAY = datetime(2016, 9, 1)
DAYS = 300
SEED = 205
MARKER = ".placestream-sample.json"
"""Says that a folder is our own earlier output, and out of what it was made."""


class SampleSettings(Settings):
    """Settings of ``sample``."""

    directory: CliPositionalArg[Path] = Field(description="folder to write to: new, empty, or an earlier sample")
    photos: Path | None = Field(None, description="folder of further pictures, captions in NAME.txt")


@dataclass(frozen=True, slots=True)
class Source:
    """A photograph to make posts of."""

    path: Path
    weight: int
    hours: tuple[int, int]
    captions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """A post to be written: what it shows, and the seed of its crop and light."""

    post_id: str
    city: str
    source: Source
    caption: str
    seed: int


def main(argv: Sequence[str]) -> int:
    """``sample``: one line that says what was written."""
    settings = load(SampleSettings, "python -m producer sample", argv)
    print(write_sample(settings.directory, settings.photos))
    return 0


def write_sample(directory: Path, photos: Path | None = None) -> str:
    """Write the dataset, unless it is there already.

    Returns:
        One line: how many posts, cities and distinct photographs.

    Raises:
        CommandError: a package is missing, or the folder holds something else.
    """
    packaged = [Source(photo.path(), photo.weight, photo.hours, photo.captions) for photo in PHOTOGRAPHS]
    given = list(_given(photos)) if photos else []
    drafts = list(_drafts(packaged, given))
    summary = (
        f"{len(drafts)} posts, {len({draft.city for draft in drafts})} cities, "
        f"{len({draft.source.path for draft in drafts})} distinct photographs"
    )
    fingerprint = _fingerprint([*packaged, *given])
    marker = directory / MARKER
    try:
        if _is_there(directory, marker, fingerprint):
            return f"{directory}: already there: {summary}"
        directory.mkdir(parents=True, exist_ok=True)
        marker.write_text(json.dumps({"fingerprint": fingerprint, "complete": False}))
        for draft in drafts:
            _write(draft, directory)
        marker.write_text(json.dumps({"fingerprint": fingerprint, "complete": True}))
    except OSError as error:
        raise CommandError(f"{directory}: cannot be written: {error.strerror or error}") from None
    return f"{directory}: {summary}"


def _is_there(directory: Path, marker: Path, fingerprint: str) -> bool:
    """Whether the same sample is there, complete; an unfinished one of ours may be written over.

    Raises:
        CommandError: the folder holds something else, which is left alone.
    """
    if not directory.exists() or not any(directory.iterdir()):
        return False
    try:
        found = json.loads(marker.read_text())
        same, complete = found["fingerprint"] == fingerprint, found["complete"]
    except (OSError, ValueError, KeyError, TypeError):
        raise CommandError(f"{directory} is not empty and no earlier sample: choose another folder") from None
    if not same:
        raise CommandError(f"{directory} holds a sample of other photographs: delete it or choose another folder")
    return bool(complete)


def _given(folder: Path) -> Iterator[Source]:
    """The readable pictures of a folder; a caption is in the text file of the same name."""
    try:
        files = sorted(path for path in folder.iterdir() if path.name[0] != "." and not path.is_dir())
    except OSError as error:
        raise CommandError(f"--photos {folder}: {error.strerror or error}") from None
    paths = [path for path in files if path.suffix.lower() in endings()]
    if others := Counter(path.suffix.lower() for path in files if path.suffix.lower() not in {*endings(), ".txt"}):
        log.warning("--photos %s: %s", folder, left_out(others))
    for path in paths:
        try:
            with Image.open(path) as picture:
                picture.load()
            caption = path.with_suffix(".txt")
            text = decode(caption.read_bytes())[0].strip() if caption.is_file() else ""
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            log.warning("%s is left out, it cannot be read: %s", path, error)
            continue
        yield Source(path, 1, (8, 22), (text,))


def _drafts(packaged: Sequence[Source], given: Sequence[Source]) -> Iterator[Draft]:
    """Which posts there are. Every city has its own taste, so that popularity differs; every source comes up."""
    chance = random.Random(SEED)
    tastes = {city: [source.weight * chance.uniform(0.3, 2.0) for source in packaged] for city in CITIES}
    decks = {source.path: list(source.captions) for source in packaged}
    once = list(packaged)
    cities = list(CITIES)
    ids: set[str] = set()
    for number in range(POSTS + POSTS_PER_GIVEN * len(given)):
        city = cities[number % len(cities)]
        if number < len(once):
            source = once[number]
        elif number < POSTS:
            source = chance.choices(packaged, tastes[city])[0]
        else:
            source = given[(number - POSTS) // POSTS_PER_GIVEN]
        caption = _next_caption(source, decks, chance)
        yield Draft(_post_id(city, source, chance, ids), city, source, caption, chance.getrandbits(32))


def _next_caption(source: Source, decks: dict[Path, list[str]], chance: random.Random) -> str:
    """Every caption of a photograph comes up before one comes again."""
    deck = decks.setdefault(source.path, [])
    if not deck:
        deck.extend(source.captions)
    return deck.pop(chance.randrange(len(deck)))


def _post_id(city: str, source: Source, chance: random.Random, taken: set[str]) -> str:
    """An id as Instagram makes them: the milliseconds since its epoch, and 23 bits besides."""
    first, last = source.hours
    while True:
        moment = FIRST_DAY + timedelta(days=chance.randrange(DAYS), hours=chance.randint(first, last))
        moment += timedelta(seconds=chance.randrange(3600), milliseconds=chance.randrange(1000))
        unix_ms = int(moment.replace(tzinfo=ZoneInfo(CITIES[city])).timestamp() * 1000)
        post_id = str((unix_ms - instagram.EPOCH_MS) << 23 | chance.getrandbits(23))
        if post_id not in taken:
            taken.add(post_id)
            return post_id


def _write(draft: Draft, directory: Path) -> None:
    inner = Path("cities_instagram", draft.city)
    picture = directory / "img_resized_1M" / inner / f"{draft.post_id}.jpg"
    caption = directory / "captions_resized_1M" / inner / f"{draft.post_id}.txt"
    for path in (picture, caption):
        path.parent.mkdir(parents=True, exist_ok=True)
    _variant(draft.source.path, random.Random(draft.seed)).save(picture, "JPEG", quality=88)
    caption.write_text(draft.caption, "utf-8")


def _variant(path: Path, chance: random.Random) -> Image.Image:
    """Another person's picture of the same thing: a crop, a little light and colour, sometimes mirrored."""
    with Image.open(path) as opened:
        picture = ImageOps.exif_transpose(opened).convert("RGB")
    side = int(min(picture.size) * chance.uniform(0.75, 1.0))
    left = chance.randint(0, picture.width - side)
    top = chance.randint(0, picture.height - side)
    picture = picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC, (left, top, left + side, top + side))
    if chance.random() < 0.3:
        picture = ImageOps.mirror(picture)
    for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        picture = change(picture).enhance(chance.uniform(0.75, 1.25))
    return picture


def _fingerprint(sources: Sequence[Source]) -> str:
    digest = hashlib.sha256(f"{SEED} {POSTS} {POSTS_PER_GIVEN} {SIDE}".encode())
    for source in sources:
        digest.update(source.path.read_bytes())
        digest.update(repr((source.path.name, source.weight, source.hours, source.captions)).encode())
    return digest.hexdigest()
