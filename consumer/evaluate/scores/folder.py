"""The score folder as it is read: cosines of pictures and captions with every place, in Parquet parts.

What is in ``scores.json`` is defined here, what is in a part in `parts.py`; `writer.py` writes them.
"""

import csv
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
from pydantic import TypeAdapter

from consumer.classify.survive import one_line
from consumer.evaluate.scores.parts import (
    ScorePart,
    check_part,
    from_table,
    part_paths,
    read_part,
    read_post_ids,
    schema,
)
from producer.base.errors import CommandError

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

    @property
    def stamp(self) -> dict[str, str]:
        """What each part says of itself."""
        return {"encoder": self.encoder, "places": self.places, "ids_sha256": self.ids_sha256}


@dataclass(frozen=True, slots=True)
class Scores:
    """A complete score folder, opened."""

    folder: Path
    info: ScoreInfo

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Look at everything but the scores themselves.

        Raises:
            CommandError: there is no such folder, it is not complete, of another version, or a part is missing or of
                another model, label set or dataset.
        """
        found = read_info(folder)
        if found is None:
            raise CommandError(f"{folder} is no score folder (no {INFO}): python -m consumer evaluate score writes one")
        if not found["complete"]:
            raise CommandError(f"{folder} is not complete: run evaluate score again with the same flags, it goes on")
        scores = cls(folder, info_of(found, folder))
        there = sum(check_part(path, scores.info.stamp) for path in part_paths(folder))
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
        for path in part_paths(self.folder):
            yield from_table(read_part(path, len(self.info.categories)))

    def of(self, post_ids: Collection[str]) -> ScorePart:
        """These posts, in this order.

        Raises:
            CommandError: some are not in the scores; the message names the first.
        """
        wanted, places = set(post_ids), len(self.info.categories)
        tables = [schema(places).empty_table()]
        for path in part_paths(self.folder):
            if rows := [row for row, post_id in enumerate(read_post_ids(path)) if post_id in wanted]:
                tables.append(read_part(path, places).take(rows))
        found = pa.concat_tables(tables)
        row = {post_id: number for number, post_id in enumerate(found.column("post_id").to_pylist())}
        if missing := [post_id for post_id in post_ids if post_id not in row]:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise CommandError(f"{self.folder} has no scores of post {', '.join(missing[:3])}{more}")
        return from_table(found.take(pa.array([row[post_id] for post_id in post_ids], pa.int64())))


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
        dataset = found["dataset"]
        return TypeAdapter(ScoreInfo).validate_python({**found, **dataset, "dataset": dataset["path"]})
    except (KeyError, TypeError, ValueError) as error:
        raise CommandError(f"{folder / INFO} is not whole: {type(error).__name__}: {one_line(error)}") from None


def read_failed(folder: Path) -> Iterator[dict[str, str]]:
    """The posts whose picture cannot be used: post_id, reason, message."""
    path = folder / FAILED
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)
