"""Posts' vectors as columns of Parquet: what an export of the vectors and a score folder have in common.

The columns are a contract; they are only ever added.
"""

import glob
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from consumer.classify.identity import is_of
from consumer.classify.label import Vectors
from producer.base.errors import CommandError

Row = Mapping[str, Any]
ABOUT = "_export.json"
"""What the files of an export are of; pandas and pyarrow pass over names that begin with ``_``."""
INSTANT = pa.timestamp("ms", tz="UTC")
NUMBER = pa.float16()
"""As in the topic: see `consumer.encoded_post.DTYPE`."""
BATCH = 4_096
"""Rows that are read at once."""


def post_row(
    post_id: str,
    city: str,
    created_at: datetime | None,
    sentiment: float | None,
    language: str | None,
    caption: bool,
    encoder: str,
    vectors: Vectors,
) -> dict[str, Any]:
    """One post by the columns of `schema`; the arguments are as in `consumer.encoded_post.EncodedPost`."""
    return {
        "post_id": post_id,
        "city": city,
        "created_at": created_at,
        "sentiment": sentiment,
        "language": language,
        "caption": caption,
        "encoder": encoder,
        "dimensions": len(vectors.image),
        "image": vectors.image,
        "text": vectors.text,
        "descriptor": vectors.descriptor,
    }


def shape(row: Row) -> tuple[int, int]:
    """How long a row's vectors and descriptor are; without a descriptor its column is as long as the vectors."""
    descriptor = row["descriptor"]
    return row["dimensions"], row["dimensions"] if descriptor is None else len(descriptor)


def schema(dimensions: int, of_descriptor: int) -> Any:
    """The pyarrow schema of rows of this `shape`: vectors are lists of a fixed size."""
    vector = pa.list_(NUMBER, dimensions)
    return pa.schema(
        [
            pa.field("post_id", pa.string(), nullable=False),
            pa.field("city", pa.string(), nullable=False),
            ("created_at", INSTANT),
            ("sentiment", pa.float64()),
            ("language", pa.string()),
            pa.field("caption", pa.bool_(), nullable=False),
            pa.field("encoder", pa.string(), nullable=False),
            pa.field("dimensions", pa.int32(), nullable=False),
            pa.field("image", vector, nullable=False),
            ("text", vector),
            ("descriptor", pa.list_(NUMBER, of_descriptor)),
        ]
    )


def to_batch(rows: Sequence[Row], columns: Any) -> Any:
    """Rows as a pyarrow record batch.

    Args:
        rows: at least one, all of the columns' `shape`; vectors are arrays, or None.
        columns: a pyarrow schema.
    """
    arrays = [_array([row[field.name] for row in rows], field.type) for field in columns]
    return pa.RecordBatch.from_arrays(arrays, schema=columns)


def _array(values: list[Any], kind: Any) -> Any:
    if not pa.types.is_fixed_size_list(kind):
        return pa.array(values, kind)
    nothing = np.zeros(kind.list_size, np.float16)
    numbers = np.stack([nothing if value is None else value for value in values]).astype(np.float16)
    missing = pa.array([value is None for value in values])
    return pa.FixedSizeListArray.from_arrays(pa.array(numbers.ravel()), type=kind, mask=missing)


def vectors_of(column: Any) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The vectors of a pyarrow column, ``[n, d]``, and which of them are there, ``[n]``; the others are NaN."""
    size = column.type.list_size
    lists = column.combine_chunks()
    there = np.asarray(lists.is_valid().to_numpy(zero_copy_only=False), np.bool_)
    vectors = np.full((len(there), size), np.nan, np.float32)
    vectors[there] = lists.flatten().to_numpy(zero_copy_only=False).reshape(-1, size)  # only those that are there
    return vectors, there


def exported_files(folder: Path) -> list[Path] | None:
    """The files of an export of vectors, in the order of their names; None where the folder is no export.

    Raises:
        CommandError: it is one of labels, or what it is of cannot be read.
    """
    try:
        about = json.loads((folder / ABOUT).read_text("utf-8"))
        contents = about.get("contents")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, AttributeError) as error:
        raise CommandError(f"{folder / ABOUT} cannot be read: {error}") from None
    if contents != "vectors":
        raise CommandError(f"{folder} holds labels: `python -m consumer export --vectors-topic TOPIC` exports vectors")
    return sorted(folder.glob(f"{glob.escape(about['topic'])}-*.parquet"))


def batches(files: Iterable[Path], columns: Sequence[str]) -> Iterator[Any]:
    """These columns of an export's files, as pyarrow tables of at most `BATCH` rows.

    Raises:
        CommandError: a file is broken.
    """
    for path in files:
        try:
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(BATCH, columns=columns):
                    yield pa.Table.from_batches([batch])
        except (OSError, KeyError, pa.ArrowException) as error:
            from consumer.classify.survive import one_line  # here, not at the top: it imports torch

            raise CommandError(f"{path} is broken: {one_line(error)}; delete it, and export again") from None


def each_vector(column: Any) -> list[Any]:
    """The vectors of a pyarrow column, one by one; None where there is none."""
    vectors, there = vectors_of(column)
    return [vector if is_there else None for vector, is_there in zip(vectors, there, strict=True)]


def encoders_of(folder: Path, files: Iterable[Path], identity: str) -> tuple[dict[str, int], dict[str, int]]:
    """How many posts of an export bear which encoder's name: names of this identity, and others.

    Raises:
        CommandError: a file is broken, or no vector is this encoder's.
    """
    names = Counter(name for batch in batches(files, ["encoder"]) for name in batch["encoder"].to_pylist())
    own = {name: posts for name, posts in sorted(names.items()) if is_of(name, identity)}
    others = {name: posts for name, posts in sorted(names.items()) if name not in own}
    if not own:
        there = ", ".join(f"{posts:,} of {name}" for name, posts in others.items()) or "none at all"
        raise CommandError(
            f"{folder} has no vectors of {identity} ({there}): choose the encoder by --encoder, --model and "
            "--pretrained"
        )
    return own, others
