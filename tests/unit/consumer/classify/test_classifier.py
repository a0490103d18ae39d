from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from consumer.classify.classifier import Classifier
from consumer.classify.decision import Decision
from consumer.classify.encoders.encoder import Images, NotFinite
from consumer.classify.label import Label, Ranking
from consumer.classify.language import identifier
from consumer.classify.pictures.decode import NotAnImage, PictureLimits
from producer.post import Post
from tests.light import PLACES, LightEncoder
from tests.unit.consumer.classify.photos import plain
from tests.wire import picture


def classifier(encoder: Any, **decision: Any) -> Classifier:
    return Classifier(encoder, PLACES, Decision(**{"threshold": 0.5, **decision}))


def assert_same(labels: Sequence[Label], others: Sequence[Label]) -> None:
    """Equal but for the last digits of confidences, which depend on the CPU and on the size of a batch."""
    for label, other in zip(labels, others, strict=True):
        pairs: list[tuple[Label | Ranking, Label | Ranking]] = [(label, other), (label.image, other.image)]
        if label.text and other.text:
            pairs.append((label.text, other.text))
        for one, another in pairs:
            assert [place for place, _ in one.top] == [place for place, _ in another.top]
            assert [p for _, p in one.top] == pytest.approx([p for _, p in another.top], abs=1e-6)
            assert one.place == another.place
            assert one.confidence == pytest.approx(another.confidence, abs=1e-6)
        for name in ("decided_by", "language", "sentiment", "caption_use"):
            assert getattr(label, name) == getattr(other, name)
        assert (label.text is None) == (other.text is None)


def post(colour: str, caption: str | None = None, post_id: str = "1") -> Post:
    return Post(post_id, "newyork", plain(colour), caption)


def test_all_captions_are_encoded_where_that_is_asked_for_and_no_label_changes(light: LightEncoder) -> None:
    posts = [post("red", "so blue, I love it"), post("grey", "so blue"), post("grey")]
    usual = classifier(light).classify(posts)

    labels = classifier(light).with_captions("all").classify(posts)

    assert [replace(label, caption_use="none", vectors=None) for label in labels] == [
        replace(label, caption_use="none", vectors=None) for label in usual
    ]
    texts = [[label.vectors.text is not None for label in each if label.vectors] for each in (usual, labels)]
    assert texts == [[False, True, False], [True, True, False]]
    assert [label.caption_use for label in labels] == ["encoded", "encoded", "none"]


def test_a_label_carries_the_vectors_that_it_follows_from(light: LightEncoder) -> None:
    made = classifier(light)
    for label in made.classify([post("grey", "so blue"), post("red")]):
        assert label.vectors is not None
        (of_image,) = made.head.of_images(label.vectors.image[None])
        assert of_image.max() == pytest.approx(label.image.confidence, abs=1e-9)
        if label.text and label.vectors.text is not None:
            (of_text,) = made.head.of_texts(label.vectors.text[None])
            assert of_text.max() == pytest.approx(label.text.confidence, abs=1e-9)


def test_a_sure_picture_decides_alone_and_its_caption_is_not_encoded(light: LightEncoder) -> None:
    label = classifier(light).classify([post("red", "so blue, I love it")])[0]
    assert (label.place, label.decided_by, label.caption_use) == ("red", "image", "skipped")
    assert label.confidence == label.image.confidence > 0.99
    assert label.text is None
    assert label.sentiment is not None  # the mood is of the caption all the same
    assert light.captions == []


@pytest.mark.parametrize(
    ("caption", "language", "has_sentiment"),
    [
        ("I love this beautiful city", "en", True),
        ("Die schönste Stadt der Welt", "de", False),  # "die" is in VADER's lexicon
        ("#love", None, False),
        ("\u2764\ufe0f", None, False),
        (None, None, False),
    ],
)
def test_english_captions_alone_have_a_sentiment(
    caption: str | None, language: str | None, has_sentiment: bool, light: LightEncoder
) -> None:
    (label,) = classifier(light).classify([post("red", caption)])
    assert (label.language, label.sentiment is not None) == (language, has_sentiment)


def test_languages_are_loaded_with_the_model_and_not_at_the_first_caption(light: LightEncoder) -> None:
    identifier.cache_clear()
    classifier(light)
    assert identifier.cache_info().currsize == 1


def test_an_unsure_picture_asks_its_caption(light: LightEncoder) -> None:
    label = classifier(light).classify([post("grey", "so blue")])[0]
    assert (label.place, label.decided_by, label.caption_use) == ("blue", "ensemble", "encoded")
    assert label.text is not None
    assert label.text.place == "blue"
    assert label.image.confidence == pytest.approx(1 / 3, abs=1e-3)
    assert label.confidence == pytest.approx((label.image.confidence + label.text.confidence) / 2, abs=1e-3)
    assert light.captions == ["so blue"]


def test_only_the_captions_of_unsure_pictures_are_encoded_and_all_at_once(light: LightEncoder) -> None:
    posts = [
        post("red", "red"),
        post("grey", "first green"),
        post("grey"),
        post("blue", "x"),
        post("grey", "then blue"),
    ]
    labels = classifier(light).classify(posts)
    assert light.captions == ["first green", "then blue"]
    assert [label.place for label in labels] == ["red", "green", None, "blue", "blue"]
    assert [label.caption_use for label in labels] == ["skipped", "encoded", "none", "skipped", "encoded"]


def test_a_caption_that_is_there_more_than_once_is_encoded_once(light: LightEncoder) -> None:
    made = classifier(light)
    posts = [
        post("grey", "blue"),
        post("red", "blue"),
        post("grey", "green"),
        post("grey", "blue"),
        post("silver", "blue"),
    ]
    together = made.classify(posts)
    assert light.captions == ["blue", "green"]
    assert_same(together, [made.classify([one])[0] for one in posts])
    assert [label.place for label in together] == ["blue", "red", "green", "blue", "blue"]


def test_a_picture_that_is_there_more_than_once_is_encoded_once(light: LightEncoder) -> None:
    made = classifier(light)
    posts = [post("grey", "blue"), post("red"), post("grey", "green"), post("blue"), post("red", "blue")]
    together = made.classify(posts)
    assert light.sizes == [3]
    assert_same(together, [made.classify([one])[0] for one in posts])
    assert [label.place for label in together] == ["blue", "red", "green", "blue", "red"]


def test_without_a_caption_the_picture_decides(light: LightEncoder) -> None:
    for caption in (None, "", " \n"):
        label = classifier(light, ensemble="ensemble").classify([post("grey", caption)])[0]
        assert (label.decided_by, label.caption_use, label.text, label.sentiment) == ("image", "none", None, None)


def test_only_image_encodes_no_caption(light: LightEncoder) -> None:
    labels = classifier(light, ensemble="only-image").classify([post("grey", "blue"), post("red", "blue")])
    assert light.captions == []
    assert {label.decided_by for label in labels} == {"image"}


def test_ensemble_encodes_every_caption(light: LightEncoder) -> None:
    labels = classifier(light, ensemble="ensemble").classify([post("red", "blue"), post("red")])
    assert light.captions == ["blue"]
    assert [label.decided_by for label in labels] == ["ensemble", "image"]


def test_weights_shift_the_decision(light: LightEncoder) -> None:
    posts = [post("red", "blue")]
    for weights, place in (((0.8, 0.2), "red"), ((0.2, 0.8), "blue"), ((0.0, 1.0), "blue")):
        label = classifier(light, ensemble="ensemble", weights=weights).classify(posts)[0]
        assert label.place == place
        assert 0 <= label.confidence <= 1


def test_the_place_is_none_exactly_below_the_threshold(light: LightEncoder) -> None:
    confidence = classifier(light).classify([post("orange")])[0].confidence
    assert 0.5 < confidence < 1
    at = classifier(light, threshold=confidence).classify([post("orange")])[0]
    below = classifier(light, threshold=confidence + 1e-6).classify([post("orange")])[0]
    assert at.place == "red"
    assert below.place is None
    assert (below.confidence, below.top, below.image.place) == (confidence, at.top, "red")


@pytest.mark.parametrize("error", [-1e-14, 0.0, 1e-14])
def test_what_is_level_is_decided_alike_however_it_is_rounded(
    light: LightEncoder, monkeypatch: pytest.MonkeyPatch, error: float
) -> None:
    """Level are all three places, the picture's confidence and the gate, and the caption's help and the threshold."""
    made = classifier(light, gate=1 / 3, threshold=1 / 3)
    cosines = made.head.cosines

    def rounded(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        return cosines(vectors) + error * np.arange(3)

    monkeypatch.setattr(made.head, "cosines", rounded)
    label = made.classify([post("grey", "no colour")])[0]
    assert (label.place, label.decided_by) == ("red", "ensemble")
    assert [place for place, _ in label.top] == ["red", "green", "blue"]
    assert label.confidence == label.top[0][1] == max(confidence for _, confidence in label.top)


def test_rankings_are_complete_and_ordered(light: LightEncoder) -> None:
    label = classifier(light).classify([post("orange")])[0]
    assert [place for place, _ in label.top] == ["red", "green", "blue"]
    assert [confidence for _, confidence in label.top] == sorted((c for _, c in label.top), reverse=True)
    assert label.top[0] == ("red", label.confidence)
    one = Classifier(light, PLACES, Decision(threshold=0.5), top=1).classify([post("orange")])[0]
    assert len(one.top) == 1


def test_a_batch_is_labelled_in_its_order_whatever_its_size(light: LightEncoder) -> None:
    made = classifier(light)
    posts = [post(colour, caption) for colour in ("red", "grey", "blue") for caption in (None, "green", "blue")]
    assert_same(made.classify(posts), [made.classify([one])[0] for one in posts])
    assert made.label([]) == []


def test_a_bad_picture_names_its_post(light: LightEncoder) -> None:
    with pytest.raises(NotAnImage, match="post 4711: "):
        classifier(light).classify([post("red"), Post("4711", "newyork", b"no picture")])


def test_a_usual_jpeg_is_decoded_by_the_given_decoder_and_everything_else_by_pillow(light: LightEncoder) -> None:
    blue = torch.zeros(3, 6, 8, dtype=torch.uint8)
    blue[2] = 255
    made = Classifier(light, PLACES, Decision(threshold=0.5), decode_jpeg=lambda data: blue)
    posts = [Post("jpeg", "newyork", plain("red", "JPEG")), Post("png", "newyork", plain("red", "PNG"))]
    assert [label.place for label in made.classify(posts)] == ["blue", "red"]


def test_a_jpeg_for_which_the_gpu_has_no_memory_is_pillows(
    light: LightEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_gpu = torch.zeros(3, 6, 8, dtype=torch.uint8)
    prepare = light.prepare

    def without_memory(levels: torch.Tensor) -> torch.Tensor:
        if levels is on_gpu:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 600.00 MiB.")
        return prepare(levels)

    monkeypatch.setattr(light, "prepare", without_memory)
    made = Classifier(light, PLACES, Decision(threshold=0.5), decode_jpeg=lambda data: on_gpu)
    assert made.classify([Post("jpeg", "newyork", plain("red", "JPEG"))])[0].place == "red"


def test_the_limits_apply(light: LightEncoder) -> None:
    made = Classifier(light, PLACES, Decision(threshold=0.5), PictureLimits(max_pixels=47))
    with pytest.raises(ValueError, match="at most 47"):
        made.decode_all([post("red")])


def test_the_stages_are_observed(light: LightEncoder) -> None:
    seen: list[tuple[str, float]] = []
    made = Classifier(
        light, PLACES, Decision(threshold=0.5), observe=lambda stage, seconds: seen.append((stage, seconds))
    )
    made.classify([post("red", "sure")])
    assert [stage for stage, _ in seen] == ["image"]
    made.classify([post("grey", "blue")])
    assert [stage for stage, _ in seen] == ["image", "image", "text"]
    assert all(seconds >= 0 for _, seconds in seen)


def test_no_label_is_made_of_nan() -> None:
    class Broken(LightEncoder):
        def encode_images(self, prepared: Sequence[torch.Tensor]) -> Images:
            return Images(super().encode_images(prepared).vectors * np.float32("nan"))

    with pytest.raises(NotFinite):
        classifier(Broken()).classify([post("red")])


def test_a_caption_of_a_megabyte_is_cut(light: LightEncoder) -> None:
    classifier(light).classify([post("grey", "love 😂 " * 150_000)])
    assert len(light.captions[0]) == 2_200


def test_as_published_pillow_decodes_every_picture() -> None:
    decoded: list[bytes] = []

    def decode(data: bytes) -> torch.Tensor:
        decoded.append(data)
        return torch.zeros(3, 8, 8, dtype=torch.uint8)

    own = Classifier(LightEncoder(), PLACES, Decision(threshold=0.4), decode_jpeg=decode)
    jpeg = Post("1", "rome", picture("red", kind="JPEG"))

    own.as_published().decode_all([jpeg])
    assert decoded == []
    own.decode_all([jpeg])
    assert decoded == [jpeg.picture]
