"""The score folder as it is read: cosines of pictures and captions with every place, in Parquet parts.

What is in ``scores.json`` and in a part is defined here; `score_writer.py` writes them.
"""

import csv
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from producer.errors import CommandError

VERSION = 1
INFO = "scores.json"
FAILED = "failed.csv"
FAILED_COLUMNS = ("post_id", "reason", "message")


@dataclass(frozen=True, slots=True)
class ScoreInfo:
    """What all scores of a folder have in common.

    Attributes:
        encoder: name of model and weights, as in labelled posts.
        places: stamp of label set and prompts, as in labelled posts.
        categories: the places, in the order of the cosines.
        synonyms: distinct clusters of categories that a picture may as well be given.
        image_logit_scale: inverse temperature of the softmax over places for pictures.
        text_logit_scale: the same for captions.
        threshold: the encoder's own, below which a post is not classified.
        dataset: where the posts came from.
        posts: how many were chosen, those that failed included.
        ids_sha256: of their sorted ids, joined by newlines.
    """

    encoder: str
    places: str
    categories: tuple[str, ...]
    synonyms: tuple[tuple[str, ...], ...]
    image_logit_scale: float
    text_logit_scale: float
    threshold: float
    dataset: Path
    posts: int
    ids_sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class ScorePart:
    """Some posts' scores; P is the number of places.

    Attributes:
        post_ids: of the n posts.
        cities: theirs.
        created_at: when each was made, UTC; None when unknown.
        caption_lengths: characters of each caption as the model reads it; 0 without a caption.
        image: cosines of the pictures with the places, ``[n, P]``.
        text: cosines of the captions, ``[n, P]``; a row of NaN without a caption.
        has_text: whether there is a caption, ``[n]``.
    """

    post_ids: list[str]
    cities: list[str]
    created_at: list[datetime | None]
    caption_lengths: NDArray[np.int32]
    image: NDArray[np.float32]
    text: NDArray[np.float32]
    has_text: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.post_ids)

    def take(self, rows: Sequence[int]) -> "ScorePart":
        """The posts in these rows, in this order."""
        return ScorePart(
            [self.post_ids[row] for row in rows],
            [self.cities[row] for row in rows],
            [self.created_at[row] for row in rows],
            self.caption_lengths[list(rows)],
            self.image[list(rows)],
            self.text[list(rows)],
            self.has_text[list(rows)],
        )


def joined(parts: Sequence[ScorePart]) -> ScorePart:
    """Several parts (at least one) as one."""
    return ScorePart(
        [post_id for part in parts for post_id in part.post_ids],
        [city for part in parts for city in part.cities],
        [moment for part in parts for moment in part.created_at],
        np.concatenate([part.caption_lengths for part in parts]),
        np.concatenate([part.image for part in parts]),
        np.concatenate([part.text for part in parts]),
        np.concatenate([part.has_text for part in parts]),
    )


@dataclass(frozen=True, slots=True)
class Scores:
    """A complete score folder, opened."""

    folder: Path
    info: ScoreInfo

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Look at everything but the scores themselves.

        Raises:
            CommandError: there is no such folder, it is not complete, of another version, or a part is missing.
        """
        found = read_info(folder)
        if found is None:
            raise CommandError(f"{folder} is no score folder (no {INFO}): python -m consumer evaluate score writes one")
        if not found["complete"]:
            raise CommandError(f"{folder} is not complete: run evaluate score again with the same flags, it goes on")
        scores = cls(folder, info_of(found, folder))
        there = sum(_rows(path) for path in scores._paths())
        failed = sum(1 for _ in read_failed(folder))
        if there + failed != scores.info.posts:
            raise CommandError(
                f"{folder} was cut short: {scores.info.posts} posts were scored, {there} are in its parts and {failed} "
                f"in {FAILED}; restore the missing parts, or delete the folder and score again"
            )
        return scores

    def parts(self) -> Iterator[ScorePart]:
        """All posts, a part at a time (4,096 posts: 7 MB with 205 places).

        Raises:
            CommandError: a part is broken.
        """
        for path in self._paths():
            yield _part(path, _table(path), len(self.info.categories))

    def of(self, post_ids: Collection[str]) -> ScorePart:
        """These posts, in this order.

        Raises:
            CommandError: some are not in the scores; the message names the first.
        """
        wanted = set(post_ids)
        found: dict[str, int] = {}
        parts = []
        for path in self._paths():
            ids = _table(path, ["post_id"]).column("post_id").to_pylist()
            rows = [row for row, post_id in enumerate(ids) if post_id in wanted]
            if rows:
                part = _part(path, _table(path).take(rows), len(self.info.categories))
                found |= {post_id: len(found) + number for number, post_id in enumerate(part.post_ids)}
                parts.append(part)
        if missing := [post_id for post_id in post_ids if post_id not in found]:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise CommandError(f"{self.folder} has no scores of post {', '.join(missing[:3])}{more}")
        return (joined(parts) if parts else self._nothing()).take([found[post_id] for post_id in post_ids])

    def _nothing(self) -> ScorePart:
        cosines = np.empty((0, len(self.info.categories)), np.float32)
        return ScorePart([], [], [], np.empty(0, np.int32), cosines, cosines, np.empty(0, np.bool_))

    def _paths(self) -> list[Path]:
        return part_paths(self.folder)


def part_name(number: int) -> str:
    """The file of one part."""
    return f"part-{number:05d}.parquet"


def part_paths(folder: Path) -> list[Path]:
    """The parts, in order.

    Raises:
        CommandError: one is missing between the others.
    """
    paths = sorted(folder.glob("part-*.parquet"))
    for number, path in enumerate(paths):
        if path.name != part_name(number):
            raise CommandError(f"{folder}: {part_name(number)} is missing; restore it, or delete the folder")
    return paths


def read_info(folder: Path) -> dict[str, Any] | None:
    """What ``scores.json`` holds; None where there is none.

    Raises:
        CommandError: it is broken, or of another version.
    """
    path = folder / INFO
    try:
        found = json.loads(path.read_text("utf-8"))
        version = found["version"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandError(f"{path} cannot be read: {error!r}") from None
    if version != VERSION:
        raise CommandError(f"{path} is of version {version}; this program reads version {VERSION}: score again")
    return dict(found)


def info_of(found: dict[str, Any], folder: Path) -> ScoreInfo:
    """The typed part of ``scores.json``.

    Raises:
        CommandError: a field is missing or of another type.
    """
    try:
        return ScoreInfo(
            str(found["encoder"]),
            str(found["places"]),
            tuple(map(str, found["categories"])),
            tuple(tuple(map(str, cluster)) for cluster in found["synonyms"]),
            float(found["image_logit_scale"]),
            float(found["text_logit_scale"]),
            float(found["threshold"]),
            Path(found["dataset"]["path"]),
            int(found["dataset"]["posts"]),
            str(found["dataset"]["ids_sha256"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CommandError(f"{folder / INFO} is not whole: {error!r}") from None


def read_failed(folder: Path) -> Iterator[dict[str, str]]:
    """The posts whose picture cannot be used: post_id, reason, message."""
    path = folder / FAILED
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)


def read_post_ids(path: Path) -> list[str]:
    """The ids in one part.

    Raises:
        CommandError: the part is broken.
    """
    ids: list[str] = _table(path, ["post_id"]).column("post_id").to_pylist()
    return ids


def schema(places: int) -> Any:
    """The columns of a part: a pyarrow schema."""
    cosines = pa.list_(pa.float32(), places)
    return pa.schema(
        [
            pa.field("post_id", pa.string(), nullable=False),
            pa.field("city", pa.string(), nullable=False),
            pa.field("created_at", pa.timestamp("ms", "UTC")),
            pa.field("caption_length", pa.int32(), nullable=False),
            pa.field("image", cosines, nullable=False),
            pa.field("text", cosines),
        ]
    )


def to_table(part: ScorePart) -> Any:
    """A part as a pyarrow table."""
    places = part.image.shape[1]
    has_text = np.asarray(part.has_text)
    text = pa.FixedSizeListArray.from_arrays(
        pa.array(np.where(has_text[:, None], part.text, np.float32(0)).ravel(), pa.float32()),
        places,
        mask=pa.array(~has_text),
    )
    columns = [
        pa.array(part.post_ids, pa.string()),
        pa.array(part.cities, pa.string()),
        pa.array(part.created_at, pa.timestamp("ms", "UTC")),
        pa.array(part.caption_lengths, pa.int32()),
        pa.FixedSizeListArray.from_arrays(pa.array(part.image.ravel(), pa.float32()), places),
        text,
    ]
    return pa.Table.from_arrays(columns, schema=schema(places))


def _part(path: Path, table: Any, places: int) -> ScorePart:
    if not table.schema.equals(schema(places)):
        raise CommandError(f"{path}: its columns are not those of {places} places' scores")
    image = table.column("image").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    of_captions = table.column("text").combine_chunks()
    has_text = of_captions.is_valid().to_numpy(zero_copy_only=False)
    text = np.full((len(table), places), np.nan, np.float32)
    text[has_text] = of_captions.flatten().to_numpy(zero_copy_only=False).reshape(-1, places)  # only valid rows
    created_at = [moment and moment.astimezone(UTC) for moment in table.column("created_at").to_pylist()]
    return ScorePart(
        table.column("post_id").to_pylist(),
        table.column("city").to_pylist(),
        created_at,
        table.column("caption_length").to_numpy(),
        image.reshape(-1, places),
        text,
        has_text,
    )


def _table(path: Path, columns: list[str] | None = None) -> Any:
    try:
        with parquet.ParquetFile(path) as file:
            return file.read(columns)
    except (OSError, pa.ArrowException) as error:
        raise _broken(path, error) from None


def _rows(path: Path) -> int:
    try:
        return int(parquet.read_metadata(path).num_rows)
    except (OSError, pa.ArrowException) as error:
        raise _broken(path, error) from None


def _broken(path: Path, error: Exception) -> CommandError:
    return CommandError(f"{path} is broken: {' '.join(str(error).split())[:200]}; restore it, or score again")
