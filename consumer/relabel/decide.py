"""Encoded posts in, labelled posts out: arithmetic and JSON, which know no Kafka and run in a process of their own."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from pydantic import ValidationError

from consumer.classify.factory import HeadOf
from consumer.classify.identity import is_of
from consumer.classify.label import Label
from consumer.dead_letter import OTHER_ENCODER, DeadLetter
from consumer.encoded_post import EncodedPost
from consumer.labeled_post import LabeledPost, WrittenPost


class OtherEncoder(ValueError):
    """The vectors are of another space than the places'."""


class Decided(NamedTuple):
    """A post with its new label.

    Attributes:
        post: as it is published.
        misses_caption: the caption would have counted, but was not encoded.
    """

    post: WrittenPost
    misses_caption: bool


def decide(of: HeadOf, values: Sequence[bytes | None]) -> list[Decided | DeadLetter]:
    """Label encoded posts.

    Args:
        of: the head, and whose vectors it takes.
        values: of the records.

    Returns:
        One outcome per value, in order; of vectors of another encoder, or of what are none, a dead letter.
    """
    read = [_read(of, value) for value in values]
    decided = _label(of, [post for post in read if isinstance(post, EncodedPost)])
    return [next(decided) if isinstance(post, EncodedPost) else post for post in read]


def _label(of: HeadOf, posts: Sequence[EncodedPost]) -> Iterator[Decided]:
    """By pictures, and by captions where they count and have a vector."""
    if not posts:
        return
    head, now = of.head, datetime.now(UTC)
    of_images = head.of_images(np.stack([post.image for post in posts]).astype(np.float32))
    counts = head.needs_caption(of_images) & np.array([post.caption for post in posts])
    is_encoded = np.array([post.text is not None for post in posts])
    asked = np.flatnonzero(counts & is_encoded)
    texts = [text for index in asked.tolist() if (text := posts[index].text) is not None]
    of_texts = head.of_texts(np.array(texts, np.float32).reshape(-1, head.place_vectors.shape[1]))
    labels = head.labels(of_images, asked, of_texts)
    for post, label, misses in zip(posts, labels, (counts & ~is_encoded).tolist(), strict=True):
        yield Decided(_written(of, post, label, now), misses)


def _written(of: HeadOf, post: EncodedPost, label: Label, now: datetime) -> WrittenPost:
    """Its source stays the post's own record."""
    label = replace(label, language=post.language, sentiment=post.sentiment)
    made = LabeledPost.of(post, label, of.head.decision, post.encoder, of.places_stamp, post.source, now)
    return WrittenPost(made.post_id, made.place, made.broader, now, made.to_value())


def _read(of: HeadOf, value: bytes | None) -> EncodedPost | DeadLetter:
    try:
        post = EncodedPost.model_validate_json(value or b"")
    except ValidationError as error:
        return DeadLetter("bad_record", "ValidationError", _first_of(error))
    dimensions = of.head.place_vectors.shape[1]
    if not is_of(post.encoder, of.identity):
        return DeadLetter.of(OTHER_ENCODER, OtherEncoder(f"{post.encoder} made the vectors, not {of.identity}"))
    if post.dimensions != dimensions:
        return DeadLetter.of("bad_record", ValueError(f"{post.dimensions} dimensions; {of.identity} has {dimensions}"))
    return post


def _first_of(error: ValidationError) -> str:
    """What is wrong first, in one line."""
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the value'}: {first['msg'].removeprefix('Value error, ')}"
