"""Stages `decode` and `encode` without pictures: a record becomes vectors, and a head decides from them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from pydantic import ValidationError

from consumer.classify.factory import HeadOf
from consumer.classify.label import Label
from consumer.dead_letter import OTHER_ENCODER, DeadLetter, left_out_of
from consumer.encoded_post import EncodedPost
from consumer.labeled_post import LabeledPost
from consumer.metrics import RelabelMetrics


class OtherEncoder(ValueError):
    """The vectors are of another space than the places'."""


class VectorLabeler:
    """Encoded posts, labelled by a head.

    Args:
        head: decides; says whose vectors it takes.
        metrics: where captions that are missed are counted.
    """

    threads = 1
    """More would wait for each other: reading JSON is Python's work."""
    at_once = 64

    def __init__(self, head: HeadOf, metrics: RelabelMetrics) -> None:
        self.of, self.metrics = head, metrics

    def decode(self, records: Sequence[Any]) -> Iterator[EncodedPost | DeadLetter]:
        """Read encoded posts; of another encoder, or broken, they are dead letters."""
        return map(self._read, records)

    def label(self, decoded: Sequence[EncodedPost]) -> list["Relabeled"]:
        """Decide by pictures, and by captions where they count and have a vector."""
        if not decoded:
            return []
        head = self.of.head
        of_images = head.of_images(np.stack([post.image for post in decoded]).astype(np.float32))
        counts = head.needs_caption(of_images) & np.array([post.caption for post in decoded])
        is_encoded = np.array([post.text is not None for post in decoded])
        asked = np.flatnonzero(counts & is_encoded)
        texts = [text for index in asked.tolist() if (text := decoded[index].text) is not None]
        dimensions = head.place_vectors.shape[1]
        of_texts = head.of_texts(np.array(texts, np.float32).reshape(-1, dimensions))
        labels = head.labels(of_images, asked, of_texts)
        return [
            Relabeled(post, replace(label, language=post.language, sentiment=post.sentiment), bool(is_missing), self)
            for post, label, is_missing in zip(decoded, labels, counts & ~is_encoded, strict=True)
        ]

    def _read(self, record: Any) -> EncodedPost | DeadLetter:
        if left_out := left_out_of(record):
            return DeadLetter.without(left_out)
        try:
            post = EncodedPost.from_record(record)
        except ValidationError as error:
            return DeadLetter("bad_record", "ValidationError", _first_of(error))
        identity, dimensions = self.of.identity, self.of.head.place_vectors.shape[1]
        if post.encoder != identity and not post.encoder.startswith(f"{identity}+"):
            return DeadLetter.of(OTHER_ENCODER, OtherEncoder(f"{post.encoder} made the vectors, not {identity}"))
        if post.dimensions != dimensions:
            return DeadLetter.of("bad_record", ValueError(f"{post.dimensions} dimensions; {identity} has {dimensions}"))
        return post


@dataclass(frozen=True, slots=True)
class Relabeled:
    """An encoded post and its new label; `misses_caption`: it would have counted, but was not encoded."""

    post: EncodedPost
    label: Label
    misses_caption: bool
    by: VectorLabeler

    def labeled_post(self, record: Any, now: datetime) -> LabeledPost:
        """Its source stays the post's own record."""
        of = self.by.of
        post = self.post
        return LabeledPost.of(post, self.label, of.head.decision, post.encoder, of.places_stamp, post.source, now)

    def encoded_post(self, record: Any, now: datetime) -> None:
        """Nothing: the vectors are there."""

    def record_published(self) -> None:
        """Count a caption that was missed."""
        if self.misses_caption:
            self.by.metrics.captions_missing.inc()


def _first_of(error: ValidationError) -> str:
    """What is wrong first, in one line."""
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the value'}: {first['msg'].removeprefix('Value error, ')}"
