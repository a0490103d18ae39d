import numpy as np
import pytest

from consumer.classify.decision import Decision, is_sure, ranked, softmax, winner


def test_probabilities_are_the_softmax_of_the_logits() -> None:
    logits = 7 * np.array([[1, 0, 0], [0.6, 0.8, 0]])
    assert np.allclose(softmax(logits), np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))


def test_a_high_logit_scale_does_not_overflow() -> None:
    assert np.array_equal(softmax(5_000.0 * np.eye(2)), np.eye(2))


def test_combining_is_the_weighted_mean() -> None:
    image, text = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.8, 0.1])
    assert np.allclose(Decision(threshold=0.3).combine(image, text), [0.3, 0.55, 0.15])
    assert np.allclose(Decision(weights=(0.8, 0.2), threshold=0.3).combine(image, text), [0.42, 0.40, 0.18])
    assert np.allclose(Decision(weights=(0, 3), threshold=0.3).combine(image, text), text)


@pytest.mark.parametrize(
    ("ensemble", "confidence", "alone"),
    [
        ("only-image", 0.0, True),
        ("ensemble", 1.0, False),
        ("conditional", 0.6, False),  # the gate itself is not above the gate
        ("conditional", 0.6 + 1e-12, False),  # nor is what is level with it
        ("conditional", 0.6 + 1e-8, True),
    ],
)
def test_when_the_picture_decides_alone(ensemble: str, confidence: float, alone: bool) -> None:
    decision = Decision(ensemble=ensemble, threshold=0.3)  # type: ignore[arg-type]
    assert decision.needs_no_caption(confidence) == alone
    assert decision.needs_no_caption(np.array([confidence, confidence])).tolist() == [alone, alone]


@pytest.mark.parametrize(
    ("confidence", "has_a_place"), [(0.3, True), (0.3 - 1e-12, True), (0.3 - 1e-8, False), (np.nan, False)]
)
def test_what_is_level_with_the_threshold_reaches_it(confidence: float, has_a_place: bool) -> None:
    assert Decision(threshold=0.3).classifies(confidence) == has_a_place


def test_a_decision_s_name_is_read_back() -> None:
    assert str(Decision(threshold=0.3)) == "conditional weights=0.8/0.8 gate=0.6 threshold=0.3"
    for broader in (None, 0, 0.65):
        decision = Decision(ensemble="ensemble", weights=(0.8, 0.25), gate=0.7, threshold=0, broader_threshold=broader)
        assert Decision.parse(str(decision)) == decision


@pytest.mark.parametrize(
    "name", ["", "conditional", "both weights=1/1 gate=0.6 threshold=0.3", f"{Decision(threshold=1)} x=1"]
)
def test_a_name_of_another_version_is_no_decision(name: str) -> None:
    with pytest.raises(ValueError, match="is no decision"):
        Decision.parse(name)


def test_many_gates_are_tried_at_once() -> None:
    assert is_sure(np.array([[0.5], [0.6]]), np.array([0.4, 0.5])).tolist() == [[True, False], [True, True]]


def test_of_level_places_the_first_of_the_label_set_wins() -> None:
    less, more = 0.4 - 1e-12, 0.4 + 1e-12
    places, confidences = winner(np.array([[0.2, less, more], [0.2, more, less], [less, 0.2, more], [0, 0.4, 0.5]]))
    assert places.tolist() == [1, 1, 0, 2]
    assert confidences.tolist() == [more, more, more, 0.5]


def test_ranks_go_down_and_level_places_follow_the_label_set() -> None:
    rows = np.array([[1e-10, 0.3, 0.4, 0.3 + 1e-13, 2e-10], [0.0, 0.0, 1.0, 0.0, 0.0], [0.2] * 5])
    ranks = list(ranked(rows, 5))
    assert np.transpose([places for places, _ in ranks]).tolist() == [[2, 1, 3, 4, 0], [2, 0, 1, 3, 4], [0, 1, 2, 3, 4]]
    confidences = np.transpose([confidences for _, confidences in ranks])
    assert (np.diff(confidences) <= 0).all()
    assert np.allclose(confidences, -np.sort(-rows), rtol=1e-9)
