"""Stage `table`: a record becomes a row. The columns are a contract; they are only ever added.

What the columns do not list is dropped without a word: a new field of the labelled post, or of its vectors, is listed
there too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal

import pyarrow as pa

from consumer import vector_table
from consumer.encoded_post import EncodedPost
from consumer.labeled_post import LabeledPost, PartRecord
from consumer.record import SourceRecord
from consumer.vector_table import INSTANT

Row = dict[str, Any]

_RANKING = pa.list_(pa.struct([("place", pa.string()), ("confidence", pa.float64())]))
_PART = pa.struct([("place", pa.string()), ("confidence", pa.float64()), ("top", _RANKING)])

RECORD = [("topic", pa.string()), ("partition", pa.int32()), ("offset", pa.int64()), ("record_time", INSTANT)]
"""Where the exported record itself lies, and when it was written."""

COLUMNS = pa.schema(
    [
        *RECORD,
        # the fields of the labelled post, in its order
        ("post_id", pa.string()),
        ("city", pa.string()),
        ("place", pa.string()),
        ("confidence", pa.float64()),
        ("decided_by", pa.string()),
        ("top", _RANKING),
        ("image", _PART),
        ("text", _PART),
        ("broader", pa.struct([("level", pa.string()), ("name", pa.string()), ("confidence", pa.float64())])),
        ("sentiment", pa.float64()),
        ("language", pa.string()),
        ("created_at", INSTANT),
        ("labeled_at", INSTANT),
        (
            "decision",
            pa.struct(
                [
                    ("ensemble", pa.string()),
                    ("weights", pa.list_(pa.float64())),
                    ("gate", pa.float64()),
                    ("threshold", pa.float64()),
                    ("broader_threshold", pa.float64()),
                ]
            ),
        ),
        ("encoder", pa.string()),
        ("places", pa.string()),
        ("source", pa.struct([("topic", pa.string()), ("partition", pa.int64()), ("offset", pa.int64())])),
    ]
)


VECTORS_SOURCE = [
    ("source_topic", pa.string()),
    ("source_partition", pa.int64()),
    ("source_offset", pa.int64()),
    ("encoded_at", INSTANT),
]
"""What an export of vectors has besides `RECORD` and the columns of `vector_table`: the post's own record."""


def to_row(record: Any) -> Row:
    """The row of a labelled post's record, by `COLUMNS`; instants are `datetime`s.

    Args:
        record: as kafka-python's consumer returned it.

    Raises:
        ValueError: it is no labelled post (pydantic's `ValidationError` is one).
    """
    post = LabeledPost.from_record(record)
    _check_source(post.source)
    return {
        **_coordinates(record),
        **post.model_dump(),
        "top": _ranking(post.top),
        "image": _part(post.image),
        "text": None if post.text is None else _part(post.text),
        "created_at": post.created_at,
        "labeled_at": post.labeled_at,
    }


def to_vectors_row(record: Any) -> Row:
    """The row of an encoded post's record, by `vectors_columns`; vectors are arrays.

    Args:
        record: as kafka-python's consumer returned it.

    Raises:
        ValueError: it is no encoded post.
    """
    post = EncodedPost.from_record(record)
    _check_source(post.source)
    return {
        **_coordinates(record),
        **vector_table.post_row(
            post.post_id,
            post.city,
            post.created_at,
            post.sentiment,
            post.language,
            post.caption,
            post.encoder,
            post.vectors,
        ),
        "source_topic": post.source.topic,
        "source_partition": post.source.partition,
        "source_offset": post.source.offset,
        "encoded_at": post.encoded_at,
    }


def vectors_columns(row: Row) -> Any:
    """The columns of an encoded post's row: a pyarrow schema."""
    return _vectors_columns(*vector_table.shape(row))


@cache
def _vectors_columns(dimensions: int, of_descriptor: int) -> Any:
    return pa.schema([*RECORD, *vector_table.schema(dimensions, of_descriptor), *VECTORS_SOURCE])


@dataclass(frozen=True, slots=True)
class Contents:
    """What the records of an export are.

    Attributes:
        noun: of one record.
        to_row: what becomes of it; raises ValueError where it is none.
        columns: of a row; a file has rows of the same columns only.
        group: rows of a row group: enough to compress well, few enough to hold in memory.
    """

    noun: str
    to_row: Callable[[Any], Row]
    columns: Callable[[Row], Any]
    group: int


CONTENTS: dict[Literal["labels", "vectors"], Contents] = {
    "labels": Contents("labelled post", to_row, lambda row: COLUMNS, 20_000),
    "vectors": Contents("encoded post", to_vectors_row, vectors_columns, 4_096),
}


def _coordinates(record: Any) -> Row:
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "record_time": _instant(record.timestamp),
    }


def _check_source(source: SourceRecord) -> None:
    if not all(-(2**63) <= number < 2**63 for number in (source.partition, source.offset)):
        raise ValueError("source: a number beyond 64 bits")


def _ranking(top: Sequence[tuple[str, float]]) -> list[Row]:
    """With names, for files have columns; the wire has pairs."""
    return [{"place": place, "confidence": round(confidence, 4)} for place, confidence in top]


def _part(part: PartRecord) -> Row:
    return part.model_dump() | {"top": _ranking(part.top)}


def _instant(milliseconds: int) -> datetime | None:
    """A record's timestamp; None when it has none, or one that is no time."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds >= 0 else None
    except (OverflowError, ValueError, OSError):
        return None
