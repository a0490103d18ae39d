"""The label set: which places there are, how one says them, and their vectors in an encoder's space."""

import csv
import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from producer.base.errors import CommandError

if TYPE_CHECKING:  # who only reads labels loads no torch
    from consumer.classify.encoders.encoder import Encoder

PLACES205 = Path(__file__).with_name("places205.csv")

Templates = Literal["talk", "sun397", "described"]

TEMPLATES: dict[Templates, tuple[str, ...]] = {
    "talk": ("A photo of {wording}",),
    # CLIP's own for SUN397, with its own names of the places (github.com/openai/CLIP, data/prompts.md)
    "sun397": ("a photo of a {name}.", "a photo of the {name}."),
    "described": ("{wording}", "a photo of {wording}", "{wording}: {description}", "{description}"),
}
"""Prompts of a place; its vector is their mean. A place without description goes without those that need one."""


Level = Literal["synonyms", "level2", "level1"]
"""Levels of groups, the finest first; each parts the places for itself, not within the next."""
LEVELS: tuple[Level, ...] = get_args(Level)


def readable(category: str) -> str:
    """A category as one reads it: ``temple/east_asia`` is ``temple / east asia``."""
    return category.replace("_", " ").replace("/", " / ")


@dataclass(frozen=True, slots=True)
class Place:
    """One place of a label set.

    Attributes:
        category: its name in labels and counters, e.g. ``temple/east_asia``.
        wording: as one would say it, with its article: ``an East Asian temple``.
        description: what one sees there; may be empty.
        indoor: None when the label set does not say.
        level1: coarsest group (``indoor``, ``outdoor man-made``, ``outdoor natural``); may be empty.
        level2: finer group, e.g. ``shopping and dining``; may be empty.
        synonyms: categories that a picture may as well be given, this one among them; may be empty.
    """

    category: str
    wording: str
    description: str = ""
    indoor: bool | None = None
    level1: str = ""
    level2: str = ""
    synonyms: tuple[str, ...] = ()

    def prompts(self, templates: tuple[str, ...]) -> list[str]:
        """The templates filled in; the wording alone when all of them need a description and there is none."""
        name = self.category.replace("_", " ").replace("/", " ")
        usable = [template for template in templates if self.description or "{description}" not in template]
        return [
            template.format(wording=self.wording, name=name, description=self.description)
            for template in usable or ["{wording}"]
        ]


@dataclass(frozen=True, slots=True)
class Group:
    """Places that belong together.

    Attributes:
        level: ``synonyms`` are one thing under several names; ``level2`` and ``level1`` are kinds of place.
        name: the label set's; of synonyms their categories, joined by ``|``.
        members: categories, in the order of the label set.
    """

    level: Level
    name: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Places:
    """A label set, in the order of its file.

    Attributes:
        name: the file's stem.
        places: at least one.
    """

    name: str
    places: tuple[Place, ...]

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """Read a label set: a CSV with at least ``category,wording``; without a path the 205 of Places205.

        Raises:
            CommandError: one line that says where and what is wrong.
        """
        path = path or PLACES205
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeError) as error:
            raise CommandError(f"places {path} cannot be read: {error}") from None
        return cls(path.stem, tuple(_parse(text, path)))

    @property
    def categories(self) -> tuple[str, ...]:
        """The names of the places, one for each row of their vectors."""
        return tuple(place.category for place in self.places)

    @property
    def groups(self) -> tuple[Group, ...]:
        """The groups, level after level; a place without a name on a level is in none of its groups.

        Synonyms that the label set does not have do not count, and one category alone is no group of them.
        """
        found: dict[tuple[Level, str], list[str]] = {}
        number = {category: each for each, category in enumerate(self.categories)}
        for place in self.places:
            same = sorted(number.keys() & set(place.synonyms), key=number.__getitem__)
            found.setdefault(("synonyms", "|".join(same)), same)
        for level in ("level2", "level1"):
            for place in self.places:
                found.setdefault((level, getattr(place, level)), []).append(place.category)
        return tuple(
            Group(level, name, tuple(members))
            for (level, name), members in found.items()
            if name and (level != "synonyms" or len(members) > 1)
        )

    def stamp(self, templates: tuple[str, ...]) -> str:
        """The label set's name and a hash of its prompts: equal stamps, equal vectors (of one encoder)."""
        prompts = [[place.category, *place.prompts(templates)] for place in self.places]
        return f"{self.name}@{hashlib.sha256(json.dumps(prompts).encode()).hexdigest()[:8]}"

    def vectors(self, encoder: "Encoder", templates: tuple[str, ...]) -> NDArray[np.float32]:
        """The mean of each place's prompts, renormalised (Radford et al. 2021, section 3.1.4): ``[p, d]``."""
        prompts = [place.prompts(templates) for place in self.places]
        row: dict[str, int] = {}  # each distinct prompt is encoded once: places of one wording are level
        rows = [row.setdefault(prompt, len(row)) for of_place in prompts for prompt in of_place]
        vectors = encoder.encode_prompts(list(row))[rows]
        ends = np.cumsum([len(of_place) for of_place in prompts])
        means = np.stack([part.mean(axis=0) for part in np.split(vectors, ends[:-1])])
        return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True), dtype=np.float32)


def _parse(text: str, path: Path) -> list[Place]:
    rows = csv.DictReader(io.StringIO(text, newline=""))
    missing = [column for column in ("category", "wording") if column not in (rows.fieldnames or ())]
    if missing:
        raise CommandError(f"places {path}, line 1: no column {' and no column '.join(missing)}")
    places: dict[str, Place] = {}
    try:
        for row in rows:
            place = _place({name: (value or "").strip() for name, value in row.items() if isinstance(name, str)})
            if place.category in places:
                raise ValueError(f"category {place.category!r} is there twice")
            places[place.category] = place
    except (ValueError, csv.Error) as error:
        raise CommandError(f"places {path}, line {rows.line_num}: {error}") from None
    if not places:
        raise CommandError(f"places {path}: no places in it")
    return list(places.values())


def _place(row: dict[str, str]) -> Place:
    category = row["category"]
    if not category or not row["wording"]:
        raise ValueError(f"{'category' if not category else 'wording'} is blank")
    if category.startswith("_") or any(character in "|:" or not character.isprintable() for character in category):
        raise ValueError(f"category {category!r} may not contain '|' or ':', nor begin with '_'")
    for level in ("level1", "level2"):
        if not (name := row.get(level, "")).isprintable() or name.startswith("_"):
            raise ValueError(f"{level} {name!r} must be printable, and may not begin with '_'")
    indoor = row.get("indoor", "").lower()
    if indoor not in ("", "true", "false"):
        raise ValueError(f"indoor is {indoor!r}; it must be true, false or empty")
    return Place(
        category,
        row["wording"],
        row.get("description", ""),
        indoor == "true" if indoor else None,
        row.get("level1", ""),
        row.get("level2", ""),
        tuple(filter(None, row.get("synonyms", "").split("|"))),
    )
