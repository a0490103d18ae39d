"""Stage `table`: a labelled post's record becomes a row. The columns are a contract; they are only ever added.

What `COLUMNS` does not list is dropped without a word: a new field of the labelled post is listed there too.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from consumer.labeled_post import LabeledPost, PartRecord

Row = dict[str, Any]

_RANKING = pa.list_(pa.struct([("place", pa.string()), ("confidence", pa.float64())]))
_PART = pa.struct([("place", pa.string()), ("confidence", pa.float64()), ("top", _RANKING)])
_INSTANT = pa.timestamp("ms", tz="UTC")

COLUMNS = pa.schema(
    [
        # where the labelled post's own record lies, and when it was written
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("record_time", _INSTANT),
        # the fields of the labelled post, in its order
        ("post_id", pa.string()),
        ("city", pa.string()),
        ("place", pa.string()),
        ("confidence", pa.float64()),
        ("decided_by", pa.string()),
        ("top", _RANKING),
        ("image", _PART),
        ("text", _PART),
        ("sentiment", pa.float64()),
        ("language", pa.string()),
        ("created_at", _INSTANT),
        ("labeled_at", _INSTANT),
        (
            "decision",
            pa.struct(
                [
                    ("ensemble", pa.string()),
                    ("weights", pa.list_(pa.float64())),
                    ("gate", pa.float64()),
                    ("threshold", pa.float64()),
                ]
            ),
        ),
        ("encoder", pa.string()),
        ("places", pa.string()),
        ("source", pa.struct([("topic", pa.string()), ("partition", pa.int64()), ("offset", pa.int64())])),
    ]
)


def to_row(record: Any) -> Row:
    """The row of a record, by `COLUMNS`; instants are `datetime`s.

    Args:
        record: as kafka-python's consumer returned it.

    Raises:
        ValueError: it is no labelled post (pydantic's `ValidationError` is one).
    """
    post = LabeledPost.from_record(record)
    if not all(-(2**63) <= number < 2**63 for number in (post.source.partition, post.source.offset)):
        raise ValueError("source: a number beyond 64 bits")
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "record_time": _instant(record.timestamp),
        **post.model_dump(),
        "top": _ranking(post.top),
        "image": _part(post.image),
        "text": None if post.text is None else _part(post.text),
        "created_at": post.created_at,
        "labeled_at": post.labeled_at,
    }


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
