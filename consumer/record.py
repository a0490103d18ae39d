"""What the records of our outputs have in common: types of their fields, and headers."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer

from consumer.origin import SOURCE_TOPIC_ID, Origin
from producer.post import format_time

Probability = Annotated[float, PlainSerializer(lambda value: round(value, 4), return_type=float)]
"""Decided on unrounded numbers, published with four decimals."""
Compound = Annotated[Probability, Field(ge=-1, le=1)]
"""VADER's compound. The bounds guard the counters' sums against what other programs write."""
Language = Annotated[str, Field(pattern="^[a-z]{2}$")]
"""ISO 639-1. The pattern keeps the counters' fields few, whatever other programs write."""
Instant = Annotated[AwareDatetime, PlainSerializer(format_time, return_type=str)]
"""UTC with milliseconds: ``2017-03-29T02:30:13.147Z``."""


class Record(BaseModel):
    """Made of JSON, or of an object that has the fields as attributes; what it has besides is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, from_attributes=True)

    @classmethod
    def from_record(cls, record: Any) -> Self:
        """Read a record as kafka-python's consumer returned it.

        Raises:
            ValidationError: it is nothing of this kind.
        """
        return cls.model_validate_json(record.value or b"")

    def to_value(self) -> bytes:
        """The record's value: JSON in UTF-8."""
        return self.model_dump_json().encode()


class SourceRecord(Record):
    """Where the post's record lies in the input topic."""

    topic: str
    partition: int
    offset: int


def event_headers(
    event_type: str, time: datetime, origin: Origin, traceparent: bytes | None, topic_id: str = ""
) -> list[tuple[str, bytes]]:
    """Headers of an output: content type, CloudEvents in binary mode, its source's topic id, the trace passed on.

    Args:
        event_type: of the CloudEvent.
        time: when it was made.
        origin: the record that it was made of, and the group that made it.
        traceparent: W3C trace context of that record, unchanged.
        topic_id: of the topic that this record is of; without one no header says it.
    """
    headers = [
        ("content-type", b"application/json"),
        ("ce_specversion", b"1.0"),
        ("ce_id", origin.coordinates.encode()),
        ("ce_source", origin.group.encode()),
        ("ce_type", event_type.encode()),
        ("ce_time", format_time(time).encode()),
    ]
    if topic_id:
        headers.append((SOURCE_TOPIC_ID, topic_id.encode()))
    return headers if traceparent is None else [*headers, ("traceparent", traceparent)]
