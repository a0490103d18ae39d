"""What a labelled post is on the wire: the contract of the output topic. Fields are only ever added."""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, ValidationError

from consumer.classify.decision import Decision, EnsembleKind
from consumer.classify.label import Label
from consumer.origin import SOURCE_TOPIC_ID, Origin
from producer.base.logs import event
from producer.post import Post, format_time

T = TypeVar("T")
log = logging.getLogger(__name__)

Probability = Annotated[float, PlainSerializer(lambda value: round(value, 4), return_type=float)]
"""Decided on unrounded numbers, published with four decimals."""
Compound = Annotated[Probability, Field(ge=-1, le=1)]
"""VADER's compound. The bounds guard the counters' sums against what other programs write."""
Language = Annotated[str, Field(pattern="^[a-z]{2}$")]
"""ISO 639-1. The pattern keeps the counters' fields few, whatever other programs write."""
Instant = Annotated[AwareDatetime, PlainSerializer(format_time, return_type=str)]
"""UTC with milliseconds: ``2017-03-29T02:30:13.147Z``."""

EVENT_TYPE = "placestream.post.labeled.v1"


class _Record(BaseModel):
    """Made of JSON, or of an object that has the fields as attributes; what it has besides is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, from_attributes=True)


class PartRecord(_Record):
    """One part's own winner (image or text), never a null place, and its five best."""

    place: str
    confidence: Probability
    top: tuple[tuple[str, Probability], ...]


class DecisionRecord(_Record):
    """The settings that decided: whatever changes a label shows in the data."""

    ensemble: EnsembleKind  # one more kind is a new major version of the contract: its readers know all there are
    weights: tuple[float, float]
    gate: float
    threshold: float

    def to_decision(self) -> Decision:
        """The decision of the record."""
        return Decision(**dict(self))


class SourceRecord(_Record):
    """Where the post's record lies in the input topic."""

    topic: str
    partition: int
    offset: int


class LabeledPost(_Record):
    """A post and the place it shows.

    Attributes:
        place: a category of the label set; None (*not classified*) exactly when `confidence` is below the threshold.
        confidence: maximum of the deciding distribution, in [0, 1].
        top: the deciding distribution's five best, best first.
        text: None when the caption was not encoded.
        sentiment: VADER compound of an English caption, in [-1, 1]; None of others, and without a word of the lexicon.
            In labels from before the field `language` it may be of any language.
        language: the caption's, ISO 639-1; None without one, where none is sure, and in labels from before this field.
    """

    post_id: str
    city: str
    place: str | None
    confidence: Probability
    decided_by: Literal["image", "ensemble"]
    top: tuple[tuple[str, Probability], ...]
    image: PartRecord
    text: PartRecord | None
    sentiment: Compound | None
    language: Language | None = None
    created_at: Instant | None
    labeled_at: Instant
    decision: DecisionRecord
    encoder: str
    places: str
    source: SourceRecord

    @classmethod
    def of(
        cls,
        post: Post,
        label: Label,
        decision: Decision,
        encoder: str,
        places: str,
        source: Any,
        now: datetime,
    ) -> "LabeledPost":
        """Join a post with its label.

        Args:
            post: the post.
            label: what it shows.
            decision: the settings that decided.
            encoder: name of the encoder.
            places: name and hash of the label set.
            source: the post's record, as kafka-python's consumer returned it.
            now: the time of labelling, with an offset.
        """
        return cls.model_validate(
            {
                "post_id": post.post_id,
                "city": post.city,
                "place": label.place,
                "confidence": label.confidence,
                "decided_by": label.decided_by,
                "top": label.top,
                "image": label.image,
                "text": label.text,
                "sentiment": label.sentiment,
                "language": label.language,
                "created_at": post.created_at,
                "labeled_at": now,
                "decision": decision,
                "encoder": encoder,
                "places": places,
                "source": source,
            }
        )

    @classmethod
    def from_record(cls, record: Any) -> "LabeledPost":
        """Read a record as kafka-python's consumer returned it.

        Raises:
            ValidationError: it is no labelled post.
        """
        return cls.model_validate_json(record.value or b"")

    def to_value(self) -> bytes:
        """The record's value: JSON in UTF-8."""
        return self.model_dump_json().encode()

    def headers(self, group_id: str, traceparent: bytes | None, topic_id: str = "") -> list[tuple[str, bytes]]:
        """The record's headers: content type, CloudEvents in binary mode, the source's topic id, the trace passed on.

        Args:
            group_id: the worker's consumer group.
            traceparent: W3C trace context of the post's record, unchanged.
            topic_id: of the topic that the post's record is of; without one no header says it.
        """
        origin = Origin.of(group_id, self.source)
        headers = [
            ("content-type", b"application/json"),
            ("ce_specversion", b"1.0"),
            ("ce_id", origin.coordinates.encode()),
            ("ce_source", origin.group.encode()),
            ("ce_type", EVENT_TYPE.encode()),
            ("ce_time", format_time(self.labeled_at).encode()),
        ]
        if topic_id:
            headers.append((SOURCE_TOPIC_ID, topic_id.encode()))
        return headers if traceparent is None else [*headers, ("traceparent", traceparent)]


def parse_or_skip(parse: Callable[[Any], T], record: Any) -> T | None:
    """What `parse` makes of a record of the output topic; None, after a warning, of one that is no labelled post.

    Args:
        parse: raises ValueError (pydantic's `ValidationError` is one) for such a record.
        record: as kafka-python's consumer returned it.
    """
    try:
        return parse(record)
    except ValueError as error:
        event(
            log,
            logging.WARNING,
            "no labelled post; passed over",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            why=error.errors()[0]["msg"] if isinstance(error, ValidationError) else error,
        )
        return None
