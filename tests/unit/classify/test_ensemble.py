import numpy as np
import pytest

from consumer.classify.ensemble import Decision, probabilities


def test_probabilities_are_the_softmax_of_scaled_cosines() -> None:
    labels = np.eye(3, dtype=np.float32)
    vectors = np.array([[1, 0, 0], [0.6, 0.8, 0]], dtype=np.float32)
    expected = np.exp(7 * vectors.astype(float)) / np.exp(7 * vectors.astype(float)).sum(axis=1, keepdims=True)
    assert np.allclose(probabilities(vectors, labels, 7.0), expected)


def test_a_high_logit_scale_does_not_overflow() -> None:
    found = probabilities(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), 5_000.0)
    assert np.array_equal(found, np.eye(2))


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
