from pathlib import Path

import numpy as np
import pytest

from consumer.evaluate.curves.findings import LEAST, Finding, findings
from consumer.evaluate.marks.truth import Judged
from consumer.evaluate.scores.decide import BOTH, CONDITIONAL, IMAGE, Ensemble
from consumer.evaluate.stats.intervals import Bootstrap, Strata
from tests.unit.consumer.evaluate.simulated import everyone, judged, opened, simulate

N = 600


def verdicts(*answers: Judged, posts: int = N) -> list[Finding]:
    """Of picture, both and conditional."""
    strata = everyone(posts)
    return findings(answers, strata, Bootstrap.within(strata, 200, 1), "accuracy")


def answer(
    ensemble: Ensemble, accuracy: float, raw: tuple[float, float] = (0.4, 1.0), seed: int = 1, posts: int = N
) -> Judged:
    """Labels that are right so often whatever their raw score, which is even between two ends."""
    chance = np.random.default_rng(seed)
    right = chance.permutation(np.arange(posts) < accuracy * posts)
    return judged(np.linspace(*raw, posts).tolist(), right.astype(int).tolist(), ensemble)


@pytest.mark.parametrize(
    ("accuracies", "seeds", "posts", "gains"),
    [
        ((0.6, 0.8, 0.6), (1, 1, 1), N, ["holds", "holds"]),
        ((0.8, 0.6, 0.8), (1, 1, 1), N, ["does not", "does not"]),
        ((0.7, 0.72, 0.7), (1, 2, 3), 60, ["cannot tell", "cannot tell"]),  # a difference within noise
        ((0.7, 0.7, 0.7), (1, 1, 1), N, ["does not", "holds"]),  # not one post differs: the bootstrap sees no spread,
        ((0.7, 0.7, 0.7), (1, 1, 1), 60, ["cannot tell", "cannot tell"]),  # but of sixty a gain may still be hidden
    ],
)
def test_a_clear_gain_holds_and_a_clear_loss_does_not(
    accuracies: tuple[float, ...], seeds: tuple[int, ...], posts: int, gains: list[str]
) -> None:
    """Of both over the picture, and that the condition has none over both."""
    three = zip((IMAGE, BOTH, CONDITIONAL), accuracies, seeds, strict=True)
    found = verdicts(*(answer(name, share, seed=seed, posts=posts) for name, share, seed in three), posts=posts)
    assert [finding.verdict for finding in (found[0], found[2])] == gains


def test_a_gain_has_its_interval_and_the_same_at_equal_coverage() -> None:
    better = verdicts(answer(IMAGE, 0.6), answer(BOTH, 0.8), answer(CONDITIONAL, 0.6))[0]
    assert better.estimate == pytest.approx(0.2, abs=0.03)
    assert (better.low or 0) > 0.1
    assert (better.equal_coverage or {})["verdict"] == "holds"


def test_a_gain_that_turns_into_a_sure_loss_at_some_threshold_does_not_hold() -> None:
    raw = np.linspace(0.4, 1.0, N)
    image = judged(raw.tolist(), (np.arange(N) % 10 < np.where(raw > 0.9, 9, 3)).astype(int).tolist(), IMAGE)
    both = judged(raw.tolist(), (np.arange(N) % 10 < np.where(raw > 0.9, 5, 9)).astype(int).tolist(), BOTH)
    finding = verdicts(image, both, answer(CONDITIONAL, 0.5))[0]
    assert finding.low is not None
    assert finding.low > 0  # on the whole it is a gain
    assert finding.verdict == "does not"


@pytest.mark.parametrize("differ", [0, 1])
def test_on_37_posts_hardly_one_of_which_differs_nobody_can_tell(differ: int) -> None:
    """The rounds differ by what rounding leaves, or to one side only: a gain may still be hidden."""
    strata = Strata(("bar", "sky", "pier"), np.arange(37) % 3, np.array([310.0, 170.0, 90.0]))
    right = np.arange(37) % 5 < 3
    less = right.copy()
    less[np.flatnonzero(right)[:differ]] = False
    raw = np.linspace(1.0, 0.5, 37)
    image, both = (
        judged(raw.tolist(), right.astype(int).tolist(), IMAGE),
        judged((raw * 0.9).tolist(), right.astype(int).tolist(), BOTH),
    )
    conditional = judged((raw * 0.95).tolist(), less.astype(int).tolist(), CONDITIONAL)
    found = findings([image, both, conditional], strata, Bootstrap.within(strata, 200, 1), "accuracy")
    assert [found[0].verdict, found[2].verdict] == ["cannot tell", "cannot tell"]
    for finding in (found[0], found[2]):
        fairly = finding.equal_coverage or {}
        assert fairly["verdict"] == "cannot tell"
        for low, high in ((finding.low, finding.high), (fairly["low"], fairly["high"])):
            assert (low or 0) < -0.05 < 0.01 < (high or 0)
        assert all(each["low"] < each["difference"] < each["high"] for each in finding.numbers)


def test_far_fewer_is_less_than_half() -> None:
    few = verdicts(answer(IMAGE, 0.7), answer(BOTH, 0.7, (0.4, 0.9)), answer(CONDITIONAL, 0.7))[1]
    many = verdicts(answer(IMAGE, 0.7), answer(BOTH, 0.7, (0.4, 1.6)), answer(CONDITIONAL, 0.7))[1]
    about = verdicts(answer(IMAGE, 0.7), answer(BOTH, 0.7, (0.4, 1.2)), answer(CONDITIONAL, 0.7))[1]
    assert [few.verdict, many.verdict, about.verdict] == ["holds", "does not", "cannot tell"]
    assert few.estimate == pytest.approx(0.2, abs=0.01)
    at = {row["threshold"]: row for row in few.numbers}
    assert at[0.8]["recovered"] == pytest.approx(0.2, abs=0.01)
    assert at[0.8]["recovered_by_image"] == pytest.approx(1 / 3, abs=0.01)


def test_too_few_posts_cannot_tell_anything() -> None:
    posts = LEAST - 1
    found = verdicts(*(answer(name, 0.7, posts=posts) for name in (IMAGE, BOTH, CONDITIONAL)), posts=posts)
    assert [finding.verdict for finding in found] == ["cannot tell"] * 3
    assert found[0].estimate is None


def test_unjudged_labels_prove_nothing() -> None:
    unjudged = [judged([0.9] * N, [-1] * N, name) for name in (IMAGE, BOTH, CONDITIONAL)]
    found = verdicts(*unjudged)
    assert [found[0].verdict, found[2].verdict] == ["cannot tell", "cannot tell"]


def test_on_the_simulated_posts_captions_help_and_the_condition_does_not(tmp_path: Path) -> None:
    """Picture and caption see the truth independently, so both together are surely better than the picture."""
    whole = opened(simulate(tmp_path, "c", captioned=1.0), 300)
    found = findings(whole.answers, whole.strata, whole.bootstrap, "accuracy")
    assert [finding.verdict for finding in found] == ["holds", "holds", "holds"]
    assert "accuracy" in found[0].rule
    assert "agreement" in findings(whole.answers, whole.strata, whole.bootstrap, "agreement")[0].rule
