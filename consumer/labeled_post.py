"""What a labelled post is on the wire: the contract of the output topic. Fields are only ever added."""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeVar

from pydantic import ValidationError

from consumer.classify.decision import Decision, EnsembleKind
from consumer.classify.label import Label
from consumer.classify.places import Level
from consumer.encoded_post import EncodedPost
from consumer.origin import Origin
from consumer.record import Compound, Instant, Language, Probability, Record, SourceRecord, event_headers
from producer.base.logs import event
from producer.post import Post

T = TypeVar("T")
log = logging.getLogger(__name__)

EVENT_TYPE = "placestream.post.labeled.v1"


class PartRecord(Record):
    """One part's own winner (image or text), never a null place, and its five best."""

    place: str
    confidence: Probability
    top: tuple[tuple[str, Probability], ...]


class BroaderRecord(Record):
    """The group of places that a post without a place surely shows.

    Attributes:
        level: synonyms are one place under several names; level2 and level1 are kinds of place.
        name: of the group in the label set; of synonyms their categories, joined by |.
        confidence: summed probability of its places in the deciding distribution.
    """

    level: Level  # one more is a new major version of the contract
    name: str
    confidence: Probability


class DecisionRecord(Record):
    """The settings that decided: whatever changes a label shows in the data.

    Attributes:
        broader_threshold: None: no group of places is ever the answer, as in labels from before this field.
    """

    ensemble: EnsembleKind  # one more kind is a new major version of the contract: its readers know all there are
    weights: tuple[float, float]
    gate: float
    threshold: float
    broader_threshold: float | None = None

    def to_decision(self) -> Decision:
        """The decision of the record."""
        return Decision(**dict(self))


class LabeledPost(Record):
    """A post and the place it shows.

    Attributes:
        place: a category of the label set; None (*not classified*) exactly when `confidence` is below the threshold.
        confidence: maximum of the deciding distribution, in [0, 1].
        top: the deciding distribution's five best, best first.
        text: None when the caption was not encoded.
        broader: the group of places that a post without a place surely shows; None when `place` is set, where no group
            is sure, and in labels from before this field.
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
    broader: BroaderRecord | None = None
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
        post: Post | EncodedPost,
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
                "broader": label.broader,
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

    def headers(self, origin: Origin, traceparent: bytes | None, topic_id: str = "") -> list[tuple[str, bytes]]:
        """The record's headers: see `event_headers`."""
        return event_headers(EVENT_TYPE, self.labeled_at, origin, traceparent, topic_id)


class WrittenPost(NamedTuple):
    """A labelled post whose value is written already, with what a worker looks at.

    Attributes:
        post_id: the record's key.
        place: None: not classified.
        broader: the group that is the answer instead.
        labeled_at: with an offset.
        value: JSON in UTF-8.
    """

    post_id: str
    place: str | None
    broader: BroaderRecord | None
    labeled_at: datetime
    value: bytes

    def to_value(self) -> bytes:
        """The record's value."""
        return self.value

    def headers(self, origin: Origin, traceparent: bytes | None, topic_id: str = "") -> list[tuple[str, bytes]]:
        """The record's headers: see `event_headers`."""
        return event_headers(EVENT_TYPE, self.labeled_at, origin, traceparent, topic_id)


def parse_or_skip(parse: Callable[[Any], T], record: Any, noun: str = "labelled post") -> T | None:
    """What `parse` makes of a record of the output topic; None, after a warning, of one that is no labelled post.

    Args:
        parse: raises ValueError (pydantic's `ValidationError` is one) for such a record.
        record: as kafka-python's consumer returned it.
        noun: what it should be.
    """
    try:
        return parse(record)
    except ValueError as error:
        event(
            log,
            logging.WARNING,
            f"no {noun}; passed over",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            why=error.errors()[0]["msg"] if isinstance(error, ValidationError) else error,
        )
        return None
