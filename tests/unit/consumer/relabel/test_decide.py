"""Vectors in, labels out: what counts, what is missed, and what is no vector of this encoder."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
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
from consumer.labeled_post import LabeledPost
from consumer.metrics import RelabelMetrics
from consumer.record import SourceRecord
from consumer.relabel.decide import Decided, decide
from consumer.relabel.labeler import VectorLabeler
from consumer.relabel.process import Process
from producer.base.errors import CommandError

NOW = datetime(2026, 11, 24, tzinfo=UTC)
SURE, UNSURE, GREEN = np.eye(3, dtype=np.float32)[0], np.full(3, 3**-0.5, np.float32), np.eye(3, dtype=np.float32)[1]
HEAD = HeadOf(
    Head(("red", "green", "blue"), np.eye(3, dtype=np.float32), 8, 8, Decision(threshold=0.4)), "light", "colours@1"
)


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


def one(post: EncodedPost) -> tuple[LabeledPost, bool]:
    """Its label, and whether the caption is missed."""
    (decided,) = decide(HEAD, [post.to_value()])
    assert isinstance(decided, Decided)
    label = LabeledPost.model_validate_json(decided.post.to_value())
    assert (label.post_id, label.place) == decided.post[:2]
    return label, decided.misses_caption


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
    label, missed = one(post)

    assert (label.place, label.decided_by, missed) == (place, decided_by, misses)


def test_a_label_has_the_posts_own_source_and_the_stamps_of_those_who_made_it() -> None:
    label, _ = one(encoded(SURE, encoder="light+openvino-int8+icc"))

    assert label.source == SourceRecord(topic="posts", partition=3, offset=4711)
    assert (label.encoder, label.places, label.sentiment) == ("light+openvino-int8+icc", "colours@1", 0.5)
    assert label.decision.threshold == 0.4


def test_half_precision_moves_no_confidence_by_more_than_promised() -> None:
    """As of CLIP: 205 places, 512 dimensions, a scale of 100."""
    random = np.random.default_rng(205)

    def unit(rows: int, near: Any = 0) -> Any:
        vectors = near + random.standard_normal((rows, 512))
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    places = unit(205)
    images, texts = (unit(300, 9 * places[random.integers(0, 205, 300)]) for _ in range(2))
    decision = Decision(ensemble="ensemble", threshold=0.3)
    head = Head([str(number) for number in range(205)], places, 100, 100, decision)
    whole = head.labels(head.of_images(images), np.arange(300), head.of_texts(texts))

    kept = [encoded(image, text).to_value() for image, text in zip(images, texts, strict=True)]
    halved = [
        json.loads(each.post.value) for each in decide(HeadOf(head, "light", ""), kept) if isinstance(each, Decided)
    ]

    assert max(abs(a.confidence - b["confidence"]) for a, b in zip(whole, halved, strict=True)) < 2e-3
    assert 0.1 < np.mean([label.confidence for label in whole]) < 0.9, "nothing near a limit was looked at"


BAD = [
    (encoded(SURE, encoder="lightning").to_value(), "other_encoder", "lightning made the vectors, not light"),
    (encoded(np.eye(4)[0]).to_value(), "bad_record", "4 dimensions; light has 3"),
    (b"{}", "bad_record", "post_id: Field required"),
    (b"\xff", "bad_record", "the value: Invalid JSON"),
    (None, "bad_record", "the value: Invalid JSON"),
    (encoded(SURE).to_value().replace(b'"image":"', b'"image":"AAAA'), "bad_record", "image: is no"),
]


@pytest.mark.parametrize(("value", "reason", "message"), BAD)
def test_what_cannot_be_decided_is_a_dead_letter_that_says_why(value: bytes | None, reason: str, message: str) -> None:
    good, dead = decide(HEAD, [encoded(SURE).to_value(), value])

    assert isinstance(good, Decided)
    assert isinstance(dead, DeadLetter)
    assert (dead.stage, dead.reason, dead.may_be_ours) == ("read", reason, False)
    assert dead.message.startswith(message)
    assert "\n" not in dead.message


def test_the_order_of_a_batch_is_kept_among_dead_letters() -> None:
    values = [None if number % 4 == 3 else encoded(np.eye(3)[number % 3]).to_value() for number in range(12)]

    outcomes = decide(HEAD, values)

    places = [each.post.place if isinstance(each, Decided) else None for each in outcomes]
    assert places == [None if number % 4 == 3 else ("red", "green", "blue")[number % 3] for number in range(12)]
    assert decide(HEAD, [None]) == [outcomes[3]]


def test_a_record_that_is_not_whole_is_a_dead_letter_and_a_missed_caption_counts_once_it_is_published() -> None:
    metrics = RelabelMetrics(CollectorRegistry())
    left_out = LeftOut("record_too_large", "too much")
    values = [None, encoded(UNSURE, caption=True).to_value()]
    records = [SimpleNamespace(value=value, checksum=None if value else left_out) for value in values]

    dead, labeled = VectorLabeler(partial(decide, HEAD), metrics).decode(records)

    assert isinstance(dead, DeadLetter)
    assert dead.reason == "record_too_large"
    assert not isinstance(labeled, DeadLetter)
    assert metrics.captions_missing._value.get() == 0
    labeled.record_published()
    assert metrics.captions_missing._value.get() == 1


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    with closing(Process(HEAD)) as process:
        yield process


@pytest.mark.slow
def test_another_process_decides_the_same(process: Process) -> None:
    values = [encoded(SURE, GREEN).to_value(), *(value for value, _, _ in BAD)]

    for _ in range(2):
        there, here = process.decide(values), decide(HEAD, values)
        assert isinstance(there[0], Decided)
        assert there[0].post.place == "red"
        assert there[1:] == here[1:]


def test_a_process_that_ended_is_one_line(process: Process) -> None:
    os.kill(process._process.pid, signal.SIGKILL)

    for _ in range(2):
        with pytest.raises(CommandError, match=r"^the process that decides ended by signal 9; nothing of this batch"):
            process.decide([None])
