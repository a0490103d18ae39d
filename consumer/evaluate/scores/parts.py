"""One Parquet part of a score folder: its columns, its stamp, and how it is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from consumer.classify.head import Head
from consumer.vector_table import schema, vectors_of
from producer.base.errors import CommandError

STAMPED = {"encoder": "model", "ids_sha256": "dataset or choice of posts"}
"""What a part says of itself, in its schema's metadata as ``placestream.encoder`` …, and what that is called."""
READ = ["post_id", "city", "created_at", "caption", "image", "text"]
"""The columns that the evaluation reads."""


@dataclass(frozen=True, slots=True, eq=False)
class ScorePart:
    """Some posts' scores; P is the number of places.

    Attributes:
        post_ids: of the n posts.
        cities: theirs.
        created_at: when each was made, UTC; None when unknown.
        image: cosines of the pictures with the places, ``[n, P]``.
        text: cosines of the captions, ``[n, P]``; a row of NaN where none was encoded.
        has_caption: whether there is a caption, ``[n]``.
        has_text: whether it was encoded, ``[n]``.
    """

    post_ids: list[str]
    cities: list[str]
    created_at: list[datetime | None]
    image: NDArray[np.float64]
    text: NDArray[np.float64]
    has_caption: NDArray[np.bool_]
    has_text: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.post_ids)


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


def read_post_ids(path: Path) -> list[str]:
    """The ids in one part.

    Raises:
        CommandError: the part is broken.
    """
    ids: list[str] = _read(path, ["post_id"]).column("post_id").to_pylist()
    return ids


def empty(dimensions: int) -> Any:
    """What `read_part` gives of no posts."""
    return schema(dimensions, dimensions).empty_table().select(READ)


def stamped(columns: Any, stamp: Mapping[str, str]) -> Any:
    """A pyarrow schema with what `STAMPED` names in its metadata."""
    return columns.with_metadata({f"placestream.{name}": value for name, value in stamp.items()})


def scored(table: Any, head: Head) -> ScorePart:
    """The scores of a table's posts, as `read_part` gives it."""
    (image, _), (text, has_text) = vectors_of(table.column("image")), vectors_of(table.column("text"))
    of_captions = np.full((len(table), len(head.categories)), np.nan)
    of_captions[has_text] = head.cosines(text[has_text])
    return ScorePart(
        table.column("post_id").to_pylist(),
        table.column("city").to_pylist(),
        [moment and moment.astimezone(UTC) for moment in table.column("created_at").to_pylist()],
        head.cosines(image),
        of_captions,
        np.asarray(table.column("caption").to_numpy(), np.bool_),
        has_text,
    )


def read_part(path: Path, dimensions: int) -> Any:
    """A part's columns `READ` as a pyarrow table.

    Raises:
        CommandError: the part is broken, or its columns are others.
    """
    table = _read(path, READ)
    if not table.schema.equals(empty(dimensions).schema):
        raise CommandError(f"{path}: its columns are not those of vectors of {dimensions} numbers")
    return table


def _read(path: Path, columns: list[str]) -> Any:
    try:
        with parquet.ParquetFile(path) as file:
            return file.read(columns)
    except (OSError, pa.ArrowException) as error:
        raise _broken(path, error) from None


def check_part(path: Path, stamp: Mapping[str, str]) -> int:
    """Hold a part's stamp against its folder's.

    Returns:
        How many posts are in it.

    Raises:
        CommandError: the part is broken, or of another model or dataset.
    """
    try:
        metadata = parquet.read_metadata(path)
    except (OSError, pa.ArrowException) as error:
        raise _broken(path, error) from None
    for name, what in STAMPED.items():
        found = (metadata.metadata or {}).get(f"placestream.{name}".encode(), b"none").decode()
        if found != stamp[name]:
            raise CommandError(
                f"{path} is of another {what} ({found}) than its folder ({stamp[name]}): restore the part, or "
                "score again"
            )
    return int(metadata.num_rows)


def _broken(path: Path, error: Exception) -> CommandError:
    return CommandError(f"{path} is broken: {' '.join(str(error).split())[:200]}; restore it, or score again")
