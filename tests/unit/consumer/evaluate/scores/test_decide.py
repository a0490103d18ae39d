import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from consumer.classify.decision import Decision
from consumer.classify.head import Head
from consumer.evaluate.scores.decide import (
    BOTH,
    CONDITIONAL,
    ENSEMBLES,
    IMAGE,
    Ensemble,
    decidable,
    decide,
    image_probabilities,
    parse,
    text_probabilities,
    undecidable,
)
from consumer.evaluate.scores.folder import ScoreInfo
from consumer.evaluate.scores.parts import ScorePart
from tests.unit.consumer.evaluate.made_up import made_up

CATEGORIES = tuple(f"place_{number}" for number in range(12))
INFO = ScoreInfo("p@0", CATEGORIES, (), 12.0, 9.0, "made up", {}, 0.3, Path("/data"), 400, "ab")


def from_probabilities(image: list[float], text: list[float] | None) -> ScorePart:
    """One post whose probabilities, with these scales, are as given."""
    of_text = np.full(len(image), np.nan) if text is None else np.log(text) / INFO.text_logit_scale
    cosines = np.log([image]) / INFO.image_logit_scale, np.array([of_text])
    return replace(made_up(*cosines), image=cosines[0], text=cosines[1])


@pytest.fixture(scope="module")
def part() -> ScorePart:
    chance = np.random.default_rng(205)
    image = chance.uniform(-1, 1, (400, 12)) * chance.uniform(0.05, 0.7, (400, 1))
    text = chance.uniform(-1, 1, (400, 12)) * chance.uniform(0.05, 0.7, (400, 1))
    text[chance.random(400) < 0.3] = np.nan
    return made_up(image, text)


def test_probabilities_are_the_softmax_of_the_scaled_cosines(part: ScorePart) -> None:
    np.testing.assert_allclose(image_probabilities(part, INFO), softmax(part.image.astype(float) * 12, axis=1))
    expected = softmax(part.text.astype(float) * 9, axis=1)
    np.testing.assert_allclose(text_probabilities(part, INFO), expected)
    assert np.isnan(text_probabilities(part, INFO)[~part.has_text]).all()


@pytest.mark.parametrize("ensemble", [e for e in ENSEMBLES if e.kind != "only-text"], ids=lambda e: str(e.name))
def test_it_decides_as_the_classifier_does(ensemble: Ensemble, part: ScorePart) -> None:
    """Against the very head that `label` decides by."""
    assert ensemble.kind != "only-text"
    decision = Decision(ensemble=ensemble.kind, weights=ensemble.weights, gate=ensemble.gate, threshold=0.3)
    head = Head(CATEGORIES, np.eye(len(CATEGORIES), dtype=np.float32), 1, 1, decision)
    images, texts = image_probabilities(part, INFO), text_probabilities(part, INFO)

    decided = decide(ensemble, part, INFO)

    asked = part.has_text & ~decision.needs_no_caption(images.max(axis=1))
    labels = head.labels(images, np.flatnonzero(asked), texts[asked])
    assert 0 < decided.by_image.sum() <= 400
    assert [CATEGORIES[index] for index in decided.label] == [label.top[0][0] for label in labels]
    assert decided.confidence.tolist() == [label.confidence for label in labels]
    assert decided.by_image.tolist() == [label.decided_by == "image" for label in labels]


def test_by_hand() -> None:
    image, text = [0.5, 0.3, 0.2], [0.1, 0.7, 0.2]
    three = from_probabilities(image, text)

    def winner(ensemble: Ensemble, part: ScorePart) -> tuple[int, float, float, bool]:
        decided = decide(ensemble, part, INFO)
        return int(decided.label[0]), *np.round((decided.confidence[0], decided.raw[0]), 5), bool(decided.by_image[0])

    assert winner(Ensemble("only-image"), three) == (0, 0.5, 0.5, True)
    assert winner(Ensemble("only-text"), three) == (1, 0.7, 0.7, False)
    assert winner(Ensemble("ensemble"), three) == (1, 0.5, 0.8, False)  # 0.8 · 0.3 + 0.8 · 0.7 = 0.8, of at most 1.6
    assert winner(Ensemble("ensemble", (0.8, 0.2)), three) == (0, 0.42, 0.42, False)  # 0.8 · 0.5 + 0.2 · 0.1
    assert winner(Ensemble("conditional"), three) == (1, 0.5, 0.8, False)
    assert winner(Ensemble("conditional", gate=0.4), three) == (0, 0.5, 0.5, True)
    assert winner(Ensemble("ensemble", text_threshold=0.8), three) == (0, 0.5, 0.5, True)  # the caption is not sure
    assert winner(Ensemble("ensemble", text_threshold=0.6), three) == (1, 0.5, 0.8, False)

    silent = from_probabilities(image, None)
    assert winner(Ensemble("ensemble"), silent) == (0, 0.5, 0.5, True)
    label, confidence, raw, by_image = winner(Ensemble("only-text"), silent)
    assert (label, by_image) == (-1, False)
    assert math.isnan(confidence)
    assert math.isnan(raw)


def test_a_caption_that_is_needed_and_was_not_encoded_is_no_missing_caption() -> None:
    """As a worker with ENCODE_CAPTIONS=needed leaves it: the second post's picture was sure, the third has none."""
    part = made_up(np.log([[0.5, 0.3, 0.2], [0.9, 0.06, 0.04], [0.5, 0.3, 0.2]]) / 12, captions=[True, True, False])
    none, first, both = [False, False, False], [True, False, False], [True, True, False]

    for ensemble, expected in (
        (Ensemble("only-image"), none),
        (CONDITIONAL, first),
        (Ensemble("conditional", gate=0.4), none),
        (Ensemble("conditional", gate=0.95), both),
        (BOTH, both),
        (Ensemble("only-text"), both),
        (replace(BOTH, text_threshold=0.3), both),
    ):
        decided = decide(ensemble, part, INFO)
        assert undecidable(ensemble, part, INFO).tolist() == expected, ensemble
        assert [label < 0 for label in decided.label[:2]] == expected[:2], ensemble
        assert not (decided.by_image & expected).any(), ensemble
        assert decided.label[2] == (-1 if ensemble.kind == "only-text" else 0), "it has no caption"
    kept, said = decidable([IMAGE, CONDITIONAL, BOTH], part, INFO)
    assert kept == (IMAGE,)
    assert f"{CONDITIONAL.name} (1 posts), {BOTH.name} (2 posts); ENCODE_CAPTIONS=all" in said
    assert decidable([IMAGE], part, INFO) == ((IMAGE,), "")


def test_a_caption_below_its_threshold_does_not_speak_alone_either() -> None:
    three = from_probabilities([0.5, 0.3, 0.2], [0.1, 0.7, 0.2])

    assert decide(Ensemble("only-text", text_threshold=0.75), three, INFO).label.tolist() == [-1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("only-image", Ensemble("only-image")),
        ("OnlyImg", Ensemble("only-image")),
        ("conditional 0.8/0.2", ENSEMBLES[5]),
        ("ensemble:0.8,0.2", ENSEMBLES[3]),
        ("conditional:0.8,0.8", ENSEMBLES[4]),
        ("conditional:0.8,0.5:0.6", Ensemble("conditional", (0.8, 0.5))),
        ("conditional:1,0.5:0.7", Ensemble("conditional", (1.0, 0.5), 0.7)),
        ("only-text:1,1:0.6:0.4", Ensemble("only-text", (1.0, 1.0), 0.6, 0.4)),
    ],
)
def test_flags_name_ensembles(text: str, expected: Ensemble) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "both", "ensemble:0.8", "ensemble:0,0", "ensemble:-1,2", "conditional:1,1:2", "ensemble:1,nan", "a:b"],
)
def test_other_flags_are_one_clear_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"--ensemble .*for example conditional:0.8,0.5:0.6"):
        parse(text)


def test_the_talk_s_ensembles_have_names_of_their_own() -> None:
    assert [ensemble.name for ensemble in ENSEMBLES] == [
        "OnlyImg",
        "OnlyText",
        "Img x 0.8 + Text x 0.8",
        "Img x 0.8 + Text x 0.2",
        "conditional 0.8/0.8",
        "conditional 0.8/0.2",
    ]


@pytest.mark.parametrize(
    ("ensemble", "name"),
    [
        (Ensemble("conditional", (1.0, 0.5), 0.7), "conditional 1/0.5 (> 0.7)"),
        (Ensemble("only-text", text_threshold=0.4), "OnlyText, text ≥ 0.4"),
        (Ensemble("ensemble", text_threshold=0.3), "Img x 0.8 + Text x 0.8, text ≥ 0.3"),
        (Ensemble("only-image", text_threshold=0.3), "OnlyImg"),
    ],
)
def test_a_name_tells_what_is_not_the_talk_s(ensemble: Ensemble, name: str) -> None:
    assert ensemble.name == name
