from typing import Any

import pandas as pd
import pytest

from consumer.evaluate.curves.headline import headline
from consumer.evaluate.curves.thresholds import grid, table
from consumer.evaluate.scores.decide import CONDITIONAL, IMAGE
from tests.unit.consumer.evaluate.simulated import inputs, judged


def curves(**changes: Any) -> pd.DataFrame:
    """The worker's row at 0.3 and its neighbour, beside rows of others that would mislead."""
    row = {"ensemble": CONDITIONAL.name, "scale": "normalised", "group": "all", "stratum": "", "threshold": 0.3}
    row |= {"weighting": "frequency", "correct": 9, "incorrect": 11, "unjudged": 0, "judged": 20, "recovered": 0.55}
    row |= {"accuracy": 0.45, "ci_low": 0.25, "ci_high": 0.68}
    others: list[dict[str, Any]] = [
        {"scale": "raw"},
        {"group": "with_caption"},
        {"stratum": "bar"},
        {"weighting": "balanced"},
        {"ensemble": "OnlyImg"},
        {"threshold": 0.0},
    ]
    return pd.DataFrame([*(row | other | {"accuracy": 0.99} for other in others), row | changes])


GIVEN = "Of the labels given by conditional 0.8/0.8 at the threshold 0.3, "


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "45 % were right (95 %: 25–68 %, 20 judged); 55 % of posts get one"),
        ({"unjudged": 5}, "45 % were right (95 %: 25–68 %, 20 judged), 20 % were not judged; 55 % of posts get one"),
        ({"judged": 0, "unjudged": 5, "accuracy": float("nan")}, "none was judged; 55 % of posts get one"),
        ({"judged": 0, "accuracy": float("nan"), "recovered": 0.0}, "none was judged; 0 % of posts get one"),
    ],
)
def test_the_sentence_is_of_the_worker_s_own_setting(changes: dict[str, Any], said: str) -> None:
    assert headline(curves(**changes), "accuracy", 0.3, whole=True) == GIVEN + said


def test_agreement_is_called_so_and_drawn_classes_are_not_all_posts() -> None:
    said = headline(curves(), "agreement", 0.3, whole=False)
    assert said == GIVEN + (
        "45 % are as the pre-label (95 %: 25–68 %, 20 judged); 55 % of the drawn classes' posts get one"
    )


def test_a_picture_of_no_place_without_a_label_is_not_counted_as_wrong() -> None:
    """Ten right and sure labels, ten pictures of nothing that get none: without a threshold it is one half."""
    answer = judged([0.9] * 10 + [0.1] * 10, [1] * 10 + [0] * 10, CONDITIONAL)
    other = judged([0.9] * 20, [0] * 20, IMAGE)
    answers, strata, bootstrap, measure, groups = inputs(other, answer)
    found = table(answers, strata, bootstrap, measure, groups, {"normalised": grid(1.0, 0.1)})
    said = headline(found, measure, 0.3, whole=True)
    assert said == GIVEN + "100 % were right (95 %: 72–100 %, 10 judged); 50 % of posts get one"
