import numpy as np
import pytest

from consumer.classify.ensemble import Decision, softmax


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
        ("conditional", 0.6000001, True),
    ],
)
def test_when_the_picture_decides_alone(ensemble: str, confidence: float, alone: bool) -> None:
    decision = Decision(ensemble=ensemble, threshold=0.3)  # type: ignore[arg-type]
    assert decision.needs_no_caption(confidence) is alone
