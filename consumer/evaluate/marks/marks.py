"""What persons marked: the sheet's CSV, and whether a label is right by it. Draws no sample and knows no model."""

import csv
import hashlib
import io
import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self, get_args

from consumer.evaluate.pages.files import BOM, table, unquoted, write
from producer.base.errors import CommandError
from producer.dataset.text import DELIMITERS, GUESSED, decode, delimiter_of

log = logging.getLogger(__name__)

Verdict = Literal["right", "wrong", "unjudged"]
Mood = Literal["negative", "neutral", "positive"]
MOODS: tuple[Mood, ...] = get_args(Mood)

FIRST = "# placestream sheet 1 sample="
BY = " by="
YES = ("yes", "true", "wahr", "vrai", "vero", "verdadero", "verdadeiro")
NO = ("", "no", "false", "falsch", "faux", "falso")
"""What spreadsheets make of a mark, in the languages of their users."""
COLUMNS = (
    "post_id",
    "city",
    "stratum",
    "prelabel",
    "labels",
    "right",
    "wrong",
    "true_places",
    "no_place",
    "cannot_tell",
    "mood",
)


@dataclass(frozen=True, slots=True)
class PostMarks:
    """One row of a sheet.

    Attributes:
        stratum: the class the post was drawn from; None when from the whole dataset.
        prelabel: only in a sheet that asks whether the pre-label is right; else None.
        labels: what was proposed, in the order shown.
        right, wrong: those of them that were marked so.
        true_places: categories that the picture shows, proposed or not.
        no_place: the picture shows no place.
        cannot_tell: the person could not say.
        mood: of the caption; None where it was not asked or not answered.
    """

    post_id: str
    city: str
    stratum: str | None
    prelabel: str | None
    labels: tuple[str, ...]
    right: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    true_places: tuple[str, ...] = ()
    no_place: bool = False
    cannot_tell: bool = False
    mood: Mood | None = None

    @property
    def unmarked(self) -> bool:
        """Whether nobody marked anything of the picture."""
        return not (self.right or self.wrong or self.true_places or self.no_place or self.cannot_tell)

    @property
    def truth(self) -> tuple[str, ...]:
        """The places that the picture shows, where they are known: then every other label is wrong.

        A confirmed pre-label is the post's true place. A label marked right is not: another may be right as well.
        """
        confirmed = (self.prelabel,) if self.prelabel is not None and self.prelabel in self.right else ()
        return confirmed + self.true_places

    def verdict(self, place: str) -> Verdict:
        """Whether a label is right; unjudged where the marks do not say."""
        if self.cannot_tell:
            return "unjudged"
        if place in self.right or place in self.true_places:
            return "right"
        return "wrong" if place in self.wrong or self.no_place or self.truth else "unjudged"


@dataclass(frozen=True, slots=True)
class Sheet:
    """All rows of a sheet.

    Attributes:
        sample: hash of the sample that it was made for.
        pooled: `model_name` of everything whose labels were proposed.
        posts: in the sheet's order.
        ensembles: names of those that proposed them; empty where the sheet does not say.
        sha256: of the file that was read; None of a sheet that was not.
    """

    sample: str
    pooled: tuple[str, ...]
    posts: tuple[PostMarks, ...]
    ensembles: tuple[str, ...] = ()
    sha256: str | None = field(default=None, compare=False)

    @classmethod
    def read(cls, path: Path, categories: Collection[str] | None = None) -> Self:
        """Read a sheet as it was written, or as the page exported it.

        Args:
            path: the CSV.
            categories: the label set; without it every class is taken as it is.

        Raises:
            CommandError: it is no sheet, names an unknown class, or its marks contradict each other; with the line.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror or error}") from None
        decoded, certain = decode(content)
        if not certain:
            log.warning("%s: %s", path, GUESSED)
        text = io.StringIO(decoded, newline=None).read()  # whatever ends the lines
        first, _, table = text.partition("\n")
        # a spreadsheet pads, splits and quotes it
        first = ",".join(next(csv.reader([first.strip()]), ())).rstrip(DELIMITERS)
        if not first.startswith(FIRST):
            raise CommandError(f"{path}, line 1: no sheet of this version (it must begin with {FIRST!r})")
        sample, _, proposing = first.removeprefix(FIRST).partition(" pooled=")
        pooled, _, by = proposing.partition(BY)
        posts = tuple(_rows(path, table, None if categories is None else frozenset(categories)))
        return cls(sample, _names(pooled), posts, _names(by), hashlib.sha256(content).hexdigest())

    def write(self, path: Path) -> None:
        """Write the CSV.

        Raises:
            CommandError: it cannot be written.
        """
        write(path, BOM + self.text())

    def text(self) -> str:
        """The CSV, as `write` writes it behind a byte order mark."""
        by = f"{BY}{';'.join(self.ensembles)}" if self.ensembles else ""
        return f"{FIRST}{self.sample} pooled={';'.join(self.pooled)}{by}\n" + table(COLUMNS, map(_row, self.posts))


def _row(post: PostMarks) -> list[str | None]:
    several = ("|".join(each) for each in (post.labels, post.right, post.wrong, post.true_places))
    flags = (YES[0] if flag else "" for flag in (post.no_place, post.cannot_tell))
    return [post.post_id, post.city, post.stratum, post.prelabel, *several, *flags, post.mood]


def model_name(encoder: str, places: str) -> str:
    """What proposes labels, as a sheet's `pooled` names it: the model, and its label set with its wording."""
    return f"{encoder}|{places}"


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(";")))


def _rows(path: Path, table: str, categories: frozenset[str] | None) -> Iterator[PostMarks]:
    delimiter = delimiter_of(table.partition("\n")[0], COLUMNS)
    rows = csv.DictReader(io.StringIO(table, newline=""), delimiter=delimiter)
    there = rows.fieldnames or ()
    if missing := [
        column for column in COLUMNS if column not in there and column != "mood"
    ]:  # sheets of before lack it
        raise CommandError(f"{path}, line 2: no column {', '.join(missing)}")
    seen: set[str] = set()
    try:
        for row in rows:
            post = _post({name: unquoted((row.get(name) or "").strip()) for name in COLUMNS})
            if post.post_id in seen:
                raise ValueError(f"post {post.post_id} is there twice")
            seen.add(post.post_id)
            _check(post, categories)
            yield post
    except (ValueError, csv.Error) as error:
        raise CommandError(f"{path}, line {rows.line_num + 1}: {error}") from None


def _post(row: dict[str, str]) -> PostMarks:
    def several(column: str) -> tuple[str, ...]:
        return tuple(filter(None, (each.strip() for each in row[column].split("|"))))

    def flag(column: str) -> bool:
        text = row[column].casefold()
        if text not in YES + NO:
            raise ValueError(f"{column} is {row[column]!r}; it must be 'yes' or empty")
        return text in YES

    if not row["post_id"]:
        raise ValueError("no post_id")
    mood = row["mood"].casefold() or None
    if mood not in (None, *MOODS):
        raise ValueError(f"mood is {row['mood']!r}; it must be {', '.join(MOODS)} or empty")
    return PostMarks(
        row["post_id"],
        row["city"],
        row["stratum"] or None,
        row["prelabel"] or None,
        several("labels"),
        several("right"),
        several("wrong"),
        several("true_places"),
        flag("no_place"),
        flag("cannot_tell"),
        mood,
    )


def _check(post: PostMarks, categories: frozenset[str] | None) -> None:
    named: Sequence[str] = (*post.labels, *post.right, *post.wrong, *post.true_places)
    if categories is not None and (unknown := [place for place in named if place not in categories]):
        raise ValueError(f"{unknown[0]!r} is no class of the label set")
    if strange := [place for place in (*post.right, *post.wrong) if place not in post.labels]:
        raise ValueError(f"{strange[0]!r} is marked, but was not proposed (labels: {'|'.join(post.labels)})")
    if both := [place for place in (*post.right, *post.true_places) if place in post.wrong]:
        raise ValueError(f"{both[0]!r} is marked both right and wrong")
    if post.no_place and (post.right or post.true_places):
        raise ValueError(f"{(*post.right, *post.true_places)[0]!r} is marked right, but also that there is no place")
