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

from producer.base.errors import CommandError

STAMPED = {"encoder": "model", "places": "label set", "ids_sha256": "dataset or choice of posts"}
"""What a part says of itself, in its schema's metadata as ``placestream.encoder`` …, and what that is called."""


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


def to_table(part: ScorePart, stamp: Mapping[str, str] | None = None) -> Any:
    """A part as a pyarrow table, with what `STAMPED` names in its metadata."""
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
    stamped = {f"placestream.{name}": value for name, value in (stamp or {}).items()}
    return pa.Table.from_arrays(columns, schema=schema(places).with_metadata(stamped))


def from_table(table: Any) -> ScorePart:
    """The part that a table is."""
    places = table.schema.field("image").type.list_size
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


def read_part(path: Path, places: int) -> Any:
    """A part as a pyarrow table.

    Raises:
        CommandError: the part is broken, or its columns are others.
    """
    table = _read(path)
    if not table.schema.equals(schema(places)):
        raise CommandError(f"{path}: its columns are not those of {places} places' scores")
    return table


def _read(path: Path, columns: list[str] | None = None) -> Any:
    try:
        with parquet.ParquetFile(path) as file:
            return file.read(columns)
    except (OSError, pa.ArrowException) as error:
        raise _broken(path, error) from None


def check_part(path: Path, stamp: Mapping[str, str]) -> int:
    """Hold a part's stamp against its folder's; a part of an earlier version has none.

    Returns:
        How many posts are in it.

    Raises:
        CommandError: the part is broken, or of another model, label set or dataset.
    """
    try:
        metadata = parquet.read_metadata(path)
    except (OSError, pa.ArrowException) as error:
        raise _broken(path, error) from None
    for name, what in STAMPED.items():
        found = (metadata.metadata or {}).get(f"placestream.{name}".encode())
        if found is not None and found.decode() != stamp[name]:
            raise CommandError(
                f"{path} is of another {what} ({found.decode()}) than its folder ({stamp[name]}): restore the part, or "
                "score again"
            )
    return int(metadata.num_rows)


def _broken(path: Path, error: Exception) -> CommandError:
    return CommandError(f"{path} is broken: {' '.join(str(error).split())[:200]}; restore it, or score again")
