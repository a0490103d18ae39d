import math

import pytest
from sklearn.metrics import cohen_kappa_score

from consumer.evaluate.marks.marks import MOODS, Mood, PostMarks
from consumer.evaluate.report.moods import ENOUGH, Moods, mood_of, moods

LOVED, HATED = "what a lovely day, I love it", "this is terrible and I hate it"


Said = tuple[str | None, Mood | None]


def marked(*captions: Said) -> Moods:
    posts = [PostMarks(f"{n}", "london", None, None, (), mood=mood) for n, (_, mood) in enumerate(captions)]
    return moods(posts, {f"{n}": caption for n, (caption, _) in enumerate(captions)}, 205)


@pytest.mark.parametrize(
    ("compound", "mood"),
    [(0.05, "positive"), (0.0499, "neutral"), (0.0, "neutral"), (-0.0499, "neutral"), (-0.05, "negative")],
)
def test_a_compound_is_a_mood_from_a_twentieth_on(compound: float, mood: Mood) -> None:
    assert mood_of(compound) == mood


def test_agreement_and_kappa_are_of_the_english_captions_that_are_scored() -> None:
    counts: list[tuple[Said, int]] = [
        ((LOVED, "positive"), 20),
        ((HATED, "negative"), 10),
        ((LOVED, "negative"), 6),
        ((HATED, "neutral"), 4),
    ]
    said = [each for each, n in counts for _ in range(n)]
    unscored: list[Said] = [("a walk over the bridge at noon", "neutral"), ("Die schönste Stadt der Welt", "positive")]
    found = marked(*said, *unscored, (None, "neutral"), (LOVED, None))

    assert (found.marked, found.scored, found.enough) == (41, 40, True)
    assert found.counts == {
        ("positive", "positive"): 20,
        ("negative", "negative"): 10,
        ("negative", "positive"): 6,
        ("neutral", "negative"): 4,
    }
    assert found.agreement == 30 / 40
    by_vader = ["positive"] * 20 + ["negative"] * 10 + ["positive"] * 6 + ["negative"] * 4
    assert found.kappa == pytest.approx(cohen_kappa_score([mood for _, mood in said], by_vader, labels=MOODS))
    assert found.low < found.kappa < found.high


def test_of_few_captions_nothing_is_told() -> None:
    said: Said = (LOVED, "positive")
    found = marked(*[said] * (ENOUGH - 1))
    assert (found.scored, found.enough) == (ENOUGH - 1, False)
    assert math.isnan(found.agreement)
    assert math.isnan(found.kappa)
