"""Where a picture's caption lies: names that differ in their letters' form, and the pictures of a carousel."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from producer.base.errors import CommandError
from producer.city import city_name
from producer.dataset.text import forms

CAROUSEL = re.compile(r"(.*_UTC|\d{17,19}(?:_\d+)?)_\d{1,2}", re.DOTALL)
"""One picture of several in a post, named by a time (Instaloader) or an id: the caption has the name before it."""


def candidates(stem: str, folders: Iterable[Path]) -> tuple[Path, ...]:
    """The files that a picture's caption may be in, the best first.

    Args:
        stem: the picture's name without its ending.
        folders: where captions lie, the best first.
    """
    names = [stem, carousel[1]] if (carousel := CAROUSEL.fullmatch(stem)) else [stem]
    if not stem.isascii():
        names = [form for name in names for form in forms(name)]
    return tuple(folder / f"{name}.txt" for folder in folders for name in names)


def folder_of(pictures: Path, captions: Path) -> Path:
    """The folder below `captions` that belongs to a folder of pictures; their names may be written otherwise.

    Args:
        pictures: relative to the folder of all pictures.
        captions: the folder of all captions.

    Raises:
        CommandError: a folder of captions cannot be read.
    """
    found = captions
    for part in pictures.parts:
        same = found / part
        if not same.is_dir() and found.is_dir():
            same = next((found / name for name in _names_in(found) if _plain(name) == _plain(part)), same)
        found = same
    return found


def _names_in(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError as error:
        raise CommandError(f"{folder}: {error.strerror or error}") from None


def _plain(name: str) -> str:
    try:
        return city_name(name)
    except ValueError:
        return name
