"""Vectors in, labels out: what counts, what is missed, and what is no vector of this encoder."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from consumer.classify.decision import Decision
from consumer.classify.factory import HeadOf
from consumer.classify.head import Head
from consumer.dead_letter import DeadLetter, LeftOut
from consumer.encoded_post import EncodedPost
from consumer.metrics import RelabelMetrics
from consumer.record import SourceRecord
from consumer.relabel.decide import Relabeled, VectorLabeler
from tests.unit.consumer.label.records import Record

NOW = datetime(2026, 11, 24, tzinfo=UTC)
SURE, UNSURE, GREEN = np.eye(3, dtype=np.float32)[0], np.full(3, 3**-0.5, np.float32), np.eye(3, dtype=np.float32)[1]


def labeler(encoder: str = "light") -> VectorLabeler:
    head = Head(("red", "green", "blue"), np.eye(3, dtype=np.float32), 8, 8, Decision(threshold=0.4))
    return VectorLabeler(HeadOf(head, encoder, "colours@1"), RelabelMetrics(CollectorRegistry()))


def encoded(image: Any, text: Any = None, caption: bool = False, encoder: str = "light") -> EncodedPost:
    return EncodedPost(
        post_id="1",
        city="london",
        created_at=None,
        sentiment=0.5,
        language="en",
        caption=caption or text is not None,
        encoder=encoder,
        dimensions=len(image),
        image=image,
        text=text,
        descriptor=None,
        source=SourceRecord(topic="posts", partition=3, offset=4711),
        encoded_at=NOW,
    )


def record(value: bytes | None) -> Record:
    return Record("post-vectors", 0, 7, b"1", value)


def outcomes(by: VectorLabeler, *values: bytes | None) -> list[EncodedPost | DeadLetter]:
    return list(by.decode([record(value) for value in values]))


def one(by: VectorLabeler, post: EncodedPost) -> Relabeled:
    (decoded,) = outcomes(by, post.to_value())
    assert isinstance(decoded, EncodedPost)
    (labeled,) = by.label([decoded])
    return labeled


@pytest.mark.parametrize(
    ("post", "place", "decided_by", "misses"),
    [
        (encoded(SURE, GREEN), "red", "image", False),
        (encoded(UNSURE, GREEN), "green", "ensemble", False),
        (encoded(UNSURE), None, "image", False),
        (encoded(UNSURE, caption=True), None, "image", True),
        (encoded(SURE, caption=True), "red", "image", False),
    ],
)
def test_a_caption_counts_where_the_picture_is_not_sure_and_is_missed_where_it_was_not_encoded(
    post: EncodedPost, place: str | None, decided_by: str, misses: bool
) -> None:
    by = labeler()

    labeled = one(by, post)
    label = labeled.labeled_post(record(None), NOW)
    before = by.metrics.captions_missing._value.get()
    labeled.record_published()

    assert (label.place, label.decided_by, labeled.misses_caption) == (place, decided_by, misses)
    assert (before, by.metrics.captions_missing._value.get()) == (0, misses)


def test_a_label_has_the_posts_own_source_and_the_stamps_of_those_who_made_it() -> None:
    label = one(labeler(), encoded(SURE, encoder="light+openvino-int8+icc")).labeled_post(record(None), NOW)

    assert label.source == SourceRecord(topic="posts", partition=3, offset=4711)
    assert (label.encoder, label.places, label.sentiment) == ("light+openvino-int8+icc", "colours@1", 0.5)
    assert label.decision.threshold == 0.4


@pytest.mark.parametrize(
    ("value", "reason", "message"),
    [
        (encoded(SURE, encoder="lightning").to_value(), "other_encoder", "lightning made the vectors, not light"),
        (encoded(np.eye(4)[0]).to_value(), "bad_record", "4 dimensions; light has 3"),
        (b"{}", "bad_record", "post_id: Field required"),
        (b"\xff", "bad_record", "the value: Invalid JSON"),
        (None, "bad_record", "the value: Invalid JSON"),
        (encoded(SURE).to_value().replace(b'"image":"', b'"image":"AAAA'), "bad_record", "image: is no"),
    ],
)
def test_what_cannot_be_decided_is_a_dead_letter_that_says_why(value: bytes | None, reason: str, message: str) -> None:
    good, dead = outcomes(labeler(), encoded(SURE).to_value(), value)

    assert isinstance(good, EncodedPost)
    assert isinstance(dead, DeadLetter)
    assert (dead.stage, dead.reason, dead.may_be_ours) == ("read", reason, False)
    assert dead.message.startswith(message)
    assert "\n" not in dead.message


def test_a_record_that_is_not_whole_is_a_dead_letter() -> None:
    left_out = LeftOut("record_too_large", "too much")
    (dead,) = labeler().decode([SimpleNamespace(value=None, checksum=left_out)])

    assert isinstance(dead, DeadLetter)
    assert dead.reason == "record_too_large"


def test_a_batch_of_dead_letters_alone_is_no_work() -> None:
    assert labeler().label([]) == []


def test_the_order_of_a_batch_is_kept() -> None:
    by = labeler()
    posts = [encoded(np.eye(3)[number % 3]) for number in range(9)]

    decoded = [post for post in outcomes(by, *(post.to_value() for post in posts)) if isinstance(post, EncodedPost)]

    assert [each.label.place for each in by.label(decoded)] == ["red", "green", "blue"] * 3
