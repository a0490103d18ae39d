"""What an encoded post is on the wire: the contract of the vectors topic. Fields are only ever added."""

import base64
import binascii
import math
from datetime import datetime
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from consumer.classify.label import Label, Vectors
from consumer.origin import Origin
from consumer.record import Compound, Instant, Language, Record, SourceRecord, event_headers
from producer.post import Post

EVENT_TYPE = "placestream.post.encoded.v1"
DTYPE = np.dtype("<f2")
"""Half precision moves a confidence by less than 0.001 at CLIP's scale of 100."""
UNIT = 0.01
"""How far a vector's length may be from 1."""


def _pack(vector: NDArray[np.floating]) -> str:
    return base64.b64encode(vector.astype(DTYPE).tobytes()).decode()


def _unpack(value: object) -> NDArray[np.floating]:
    if isinstance(value, np.ndarray):
        return value
    if not isinstance(value, str):
        raise ValueError("must be base64 text")
    try:
        vector = np.frombuffer(base64.b64decode(value, validate=True), DTYPE)
    except (binascii.Error, ValueError) as error:  # the latter: an odd number of bytes
        raise ValueError(f"is no base64 of float16 numbers: {error}") from None
    numbers = vector.astype(np.float32)
    length = math.sqrt(numbers @ numbers)  # a third of the time of np.linalg.norm
    if not abs(length - 1) < UNIT:  # NaN too
        raise ValueError(f"is no unit vector: its length is {length:g}")
    return vector


Vector = Annotated[
    NDArray[np.floating],
    PlainValidator(_unpack),
    PlainSerializer(_pack, return_type=str),
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]
"""Of unit length; base64 of float16 numbers, little-endian."""


class EncodedPost(Record):
    """A post as a model sees it: what labels follow from, without picture and caption.

    Attributes:
        sentiment: as in the labelled post.
        language: likewise.
        caption: whether the post has one.
        encoder: model and weights, and what computed them.
        dimensions: numbers of `image` and of `text`.
        image: of the picture.
        text: of the caption; None without one, or when it was not encoded because the picture was sure.
        descriptor: what tells pictures apart best, of a length of its own; None: `image` does.
    """

    post_id: str
    city: str
    created_at: Instant | None
    sentiment: Compound | None
    language: Language | None
    caption: bool
    encoder: str
    dimensions: int = Field(ge=1)
    image: Vector
    text: Vector | None
    descriptor: Vector | None
    source: SourceRecord
    encoded_at: Instant

    @model_validator(mode="after")
    def _has_its_dimensions(self) -> Self:
        for name, vector in (("image", self.image), ("text", self.text)):
            if vector is not None and len(vector) != self.dimensions:
                raise ValueError(f"{name} has {len(vector)} numbers, not {self.dimensions} (dimensions)")
        if self.text is not None and not self.caption:
            raise ValueError("text is there, and no caption")
        return self

    @classmethod
    def of(cls, post: Post, label: Label, vectors: Vectors, encoder: str, source: Any, now: datetime) -> "EncodedPost":
        """Join a post with its vectors.

        Args:
            post: the post.
            label: knows language and mood of its caption.
            vectors: of picture and caption.
            encoder: name of the encoder.
            source: the post's record, as kafka-python's consumer returned it.
            now: the time of encoding, with an offset.
        """
        return cls(
            post_id=post.post_id,
            city=post.city,
            created_at=post.created_at,
            sentiment=label.sentiment,
            language=label.language,
            caption=label.caption_use != "none",
            encoder=encoder,
            dimensions=len(vectors.image),
            image=vectors.image,
            text=vectors.text,
            descriptor=vectors.descriptor,
            source=SourceRecord.model_validate(source),
            encoded_at=now,
        )

    @property
    def vectors(self) -> Vectors:
        """What a head decides by."""
        return Vectors(self.image, self.text, self.descriptor)

    def headers(self, origin: Origin, traceparent: bytes | None, topic_id: str = "") -> list[tuple[str, bytes]]:
        """The record's headers: see `event_headers`."""
        return event_headers(EVENT_TYPE, self.encoded_at, origin, traceparent, topic_id)
