import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from consumer.classify.decision import Decision
from consumer.classify.label import Label, Ranking
from consumer.labeled_post import LabeledPost
from consumer.origin import Origin
from consumer.record import SourceRecord
from producer.post import Post
from tests.labels import golden, labeled

TOP = (("bridge", 0.83), ("viaduct", 0.06), ("river", 0.0312), ("skyscraper", 0.02), ("tower", 0.0106))
CREATED_AT = datetime(2017, 3, 29, 2, 30, 13, 147000, UTC)
NOW = datetime(2026, 11, 24, 9, 0, 0, 0, UTC)


def label(place: str | None = "bridge", top: tuple[tuple[str, float], ...] = TOP, **changes: Any) -> Label:
    parts = {
        "place": place,
        "confidence": top[0][1],
        "top": top,
        "decided_by": "image",
        "image": Ranking(*top[0], top),
        "text": None,
        "language": "en",
        "sentiment": 0.4215,
        "caption_use": "skipped",
    }
    return Label(**(parts | changes))


def joined(of: Label, created_at: datetime | None = CREATED_AT, now: datetime = NOW) -> LabeledPost:
    return LabeledPost.of(
        Post("1480879485913200243", "newyork", b"picture", "a caption", created_at),
        of,
        Decision(threshold=0.3, broader_threshold=0.6),
        "conse/efficientnet-lite0+minilm-l6",
        "places205@1f3a9c2e",
        SourceRecord(topic="posts", partition=3, offset=4711),
        now,
    )


def published(post: LabeledPost) -> Any:
    return json.loads(post.to_value())


def test_the_golden_record_is_written_byte_for_byte() -> None:
    expected = golden("labeled_post")
    post = joined(label())
    assert post.to_value() == json.dumps(expected["value"], separators=(",", ":")).encode()
    (*_, (_, topic_id), (_, trace)) = expected["headers"]
    headers = [
        [name, value.decode()]
        for name, value in post.headers(Origin.of("placestream", post.source), trace.encode(), topic_id)
    ]
    assert headers == expected["headers"]
    assert post.post_id == expected["key"]


def test_the_golden_record_is_read_and_written_back_unchanged() -> None:
    value = json.dumps(golden("labeled_post")["value"], separators=(",", ":")).encode()
    read = LabeledPost.model_validate_json(value)
    assert read == joined(label())
    assert read.to_value() == value


def test_without_a_trace_or_a_topic_id_no_header_says_it() -> None:
    assert [name for name, _ in joined(label()).headers(Origin("g", "posts", 3, 4711), None)] == [
        "content-type",
        "ce_specversion",
        "ce_id",
        "ce_source",
        "ce_type",
        "ce_time",
    ]


def test_a_post_just_below_the_threshold_is_not_classified_although_both_are_published_alike() -> None:
    top = (("bridge", 0.29999), *TOP[1:])
    below = published(joined(label(None, top)))
    assert below["place"] is None
    assert below["confidence"] == below["decision"]["threshold"] == 0.3
    assert below["top"][0] == ["bridge", 0.3]
    assert below["image"]["place"] == "bridge"


def test_every_probability_is_published_with_four_decimals() -> None:
    third = tuple((name, 1 / 3) for name, _ in TOP)
    ranking = Ranking(*third[0], third)
    post = published(joined(label(top=third, image=ranking, text=ranking, decided_by="ensemble", sentiment=-2 / 3)))
    assert post["confidence"] == post["image"]["confidence"] == post["text"]["confidence"] == 0.3333
    assert {number for part in (post, post["image"], post["text"]) for _, number in part["top"]} == {0.3333}
    assert post["sentiment"] == -0.6667
    assert post["text"]["place"] == "bridge"


def test_times_are_utc_with_milliseconds() -> None:
    india = timezone(timedelta(hours=5, minutes=30))
    post = published(joined(label(), datetime(2017, 3, 29, tzinfo=india), datetime(2026, 11, 24, 9, 0, 0, 999, UTC)))
    assert post["created_at"] == "2017-03-28T18:30:00.000Z"
    assert post["labeled_at"] == "2026-11-24T09:00:00.000Z"


def test_what_is_unknown_is_null() -> None:
    post = published(joined(label(sentiment=None, language=None), created_at=None))
    assert post["created_at"] is None
    assert post["sentiment"] is None
    assert post["language"] is None
    assert post["text"] is None


def test_a_reader_accepts_fields_that_are_added_later() -> None:
    later = labeled(
        caption="new",
        source={"topic": "posts", "partition": 3, "offset": 4711, "leader": 1},
        decision=golden("labeled_post")["value"]["decision"] | {"prior": "flat"},
    )
    assert later == labeled()


def test_a_label_from_before_the_language_is_read_without_one() -> None:
    assert labeled(language=...) == labeled(language=None)


@pytest.mark.parametrize(
    "changes",
    [
        {"sentiment": float("nan")},
        {"sentiment": 1e300},
        {"sentiment": -1.0001},
        {"language": "English"},
        {"language": "en:n"},
        {"confidence": float("inf")},
        {"created_at": "2017-03-29T02:30:13"},
        {"created_at": "yesterday"},
        {"decided_by": "somebody"},
        {"post_id": 1480879485913200243},
        {"city": ...},
        {"source": None},
    ],
)
def test_what_would_spoil_the_counters_is_no_labelled_post(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        labeled(**changes)


@pytest.mark.parametrize("value", [b"", b"\xff\xfe", b"null", b"[]", b"[" * 100_000, b'{"city": "\\ud800"}'])
def test_what_is_no_json_object_is_no_labelled_post(value: bytes) -> None:
    with pytest.raises(ValidationError):
        LabeledPost.model_validate_json(value)
