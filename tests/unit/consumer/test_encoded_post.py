import base64
import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from consumer.classify.decision import Decision
from consumer.classify.head import Head
from consumer.classify.label import Label, Ranking, Vectors
from consumer.encoded_post import EncodedPost
from consumer.origin import Origin
from consumer.record import SourceRecord
from producer.post import Post
from tests.labels import golden

IMAGE, TEXT, DESCRIPTOR = (np.array(each, np.float32) for each in ([0.6, -0.8], [0.0, 1.0], [0.0, 0.6, 0.8]))


def encoded(text: Any = TEXT, descriptor: Any = DESCRIPTOR, **changes: Any) -> EncodedPost:
    bridge = Ranking("bridge", 0.5, (("bridge", 0.5),))
    parts: dict[str, Any] = {
        "place": "bridge",
        "confidence": 0.5,
        "top": bridge.top,
        "decided_by": "image",
        "image": bridge,
    }
    label = Label(**(parts | {"text": None, "sentiment": 0.4215, "language": "en", "caption_use": "skipped"} | changes))
    return EncodedPost.of(
        Post("1480879485913200243", "newyork", b"picture", None, datetime(2017, 3, 29, 2, 30, 13, 147000, UTC)),
        label,
        Vectors(IMAGE, text, descriptor),
        "conse/efficientnet-lite0+minilm-l6+icc",
        SourceRecord(topic="posts", partition=3, offset=4711),
        datetime(2026, 11, 24, 9, 0, 0, 0, UTC),
    )


def value(**changes: Any) -> bytes:
    return json.dumps(golden("encoded_post")["value"] | changes, separators=(",", ":")).encode()


def packed(*numbers: float) -> str:
    return base64.b64encode(np.array(numbers, "<f2").tobytes()).decode()


def test_the_golden_record_is_written_byte_for_byte() -> None:
    expected = golden("encoded_post")
    post = encoded()
    assert post.to_value() == value()
    (*_, (_, topic_id), (_, trace)) = expected["headers"]
    headers = post.headers(Origin.of("placestream", post.source), trace.encode(), topic_id)
    assert [[name, value.decode()] for name, value in headers] == expected["headers"]
    assert post.post_id == expected["key"]


def test_the_golden_record_is_read_and_written_back_unchanged() -> None:
    read = EncodedPost.model_validate_json(value())
    assert read.to_value() == value()
    assert read.vectors.image == pytest.approx(IMAGE, abs=1e-3)
    assert read.vectors.descriptor == pytest.approx(DESCRIPTOR, abs=1e-3)


def test_what_was_not_encoded_is_null_and_a_caption_is_said_all_the_same() -> None:
    post = json.loads(encoded(None, None).to_value())
    assert (post["text"], post["descriptor"], post["caption"]) == (None, None, True)
    assert json.loads(encoded(None, caption_use="none", sentiment=None).to_value())["caption"] is False


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"image": "no base64!"}, "is no base64 of float16 numbers"),
        ({"image": "AAAA"}, "is no base64 of float16 numbers"),
        ({"image": 7}, "must be base64 text"),
        ({"image": packed(3, 4)}, "is no unit vector: its length is 5"),
        ({"image": packed(float("nan"), 1)}, "is no unit vector"),
        ({"image": packed(1, 0, 0)}, r"image has 3 numbers, not 2 \(dimensions\)"),
        ({"text": packed(1)}, r"text has 1 numbers, not 2 \(dimensions\)"),
        ({"caption": False}, "text is there, and no caption"),
        ({"sentiment": 2}, "less than or equal to 1"),
    ],
)
def test_what_is_no_encoded_post_says_why(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        EncodedPost.model_validate_json(value(**changes))


def unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def test_half_precision_moves_no_confidence_by_a_thousandth() -> None:
    """At CLIP's own scale, with places as near to one another as its prompts are."""
    random = np.random.default_rng(205)
    places = unit(random.normal(size=(205, 512)) + 3)
    pictures = unit(0.8 * places[:200] + random.normal(size=(200, 512)) / 512**0.5)
    head = Head([str(number) for number in range(205)], places.astype(np.float32), 100, 100, Decision(threshold=0.3))

    exact = head.of_images(pictures.astype(np.float32))
    read = head.of_images(np.stack([np.frombuffer(base64.b64decode(packed(*each)), "<f2") for each in pictures]))

    assert 0.3 < exact.max(axis=1).mean() < 0.8
    assert np.abs(exact - read).max() < 1e-3
