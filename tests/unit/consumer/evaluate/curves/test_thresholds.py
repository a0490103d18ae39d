import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score

from consumer.evaluate.curves.thresholds import (
    CURVES,
    Wish,
    by_picture,
    choices,
    grid,
    halves,
    table,
    without_threshold,
)
from consumer.evaluate.marks.truth import Judged
from consumer.evaluate.samples.enough import LEAST
from consumer.evaluate.scores.decide import ENSEMBLES
from consumer.evaluate.stats.intervals import Bootstrap, Strata
from tests.unit.consumer.evaluate.simulated import CATEGORIES, SCALE, Opened, everyone, judged

NORMALISED = {"normalised": grid(1.0, 0.1)}
NAN = float("nan")


def curves(answers: list[Judged], strata: Strata, rounds: int = 100, **groups: list[bool]) -> pd.DataFrame:
    inside = {name: np.array(of) for name, of in groups.items()} or {"all": np.ones(len(strata.of), np.bool_)}
    return table(answers, strata, Bootstrap.within(strata, rounds, 1), "accuracy", inside, NORMALISED)  # type: ignore[arg-type]


def test_the_thresholds_are_round_numbers() -> None:
    assert grid(1.6, 0.02)[[0, 7, 20, -1]].tolist() == [0, 0.14, 0.4, 1.6]


def test_accuracy_over_thresholds_by_hand_and_by_scikit_learn(partly: Opened) -> None:
    """From the cosines and the truth, in plain Python, for the picture and for both weighted 0.8 and 0.2."""
    frame = table(
        partly.answers,
        partly.strata,
        partly.bootstrap,
        "accuracy",
        {"all": np.ones(1_000, np.bool_)},
        {"raw": grid(1.6, 0.1), "normalised": grid(1.0, 0.1)},
    )
    true = [next(iter(post.right), "") for post in partly.truth.posts]
    for name, of_image, of_text in (("OnlyImg", 1.0, 0.0), ("Img x 0.8 + Text x 0.2", 0.8, 0.2)):
        labels, raw, normalised = [], [], []
        for image, text in zip(partly.part.image.tolist(), partly.part.text.tolist(), strict=True):
            alone = of_text == 0 or math.isnan(text[0])
            powers = [[math.exp(SCALE * cosine) for cosine in of] for of in (image, [0.0] * 10 if alone else text)]
            i, t = ([power / sum(of) for power in of] for of in powers)
            scores = i if alone else [of_image * a + of_text * b for a, b in zip(i, t, strict=True)]
            labels.append(CATEGORIES[scores.index(max(scores))])
            raw.append(max(scores))
            normalised.append(max(scores) / (1.0 if alone else of_image + of_text))
        for scale, confidences in (("raw", raw), ("normalised", normalised)):
            rows = frame[(frame["ensemble"] == name) & (frame["scale"] == scale)]
            for row in rows.to_dict("records"):
                kept = [n for n in range(1_000) if confidences[n] >= row["threshold"]]
                correct = sum(labels[n] == true[n] for n in kept)
                assert [row["correct"], row["incorrect"], row["unjudged"], row["not_classified"]] == pytest.approx(
                    [correct, len(kept) - correct, 0, 1_000 - len(kept)]
                )
                assert row["recovered"] == pytest.approx(len(kept) / 1_000)
                if kept:
                    by_sklearn = accuracy_score([true[n] for n in kept], [labels[n] for n in kept])
                    assert row["accuracy"] == pytest.approx(correct / len(kept)) == pytest.approx(by_sklearn)
                else:
                    assert math.isnan(row["accuracy"])


def test_unjudged_labels_are_bounds_and_never_wrong() -> None:
    row = curves([judged([0.9, 0.8, 0.7, 0.3], [1, -1, 0, -1])], everyone(4)).set_index("threshold").loc[0.5]
    assert row[["correct", "incorrect", "unjudged", "not_classified"]].tolist() == [1, 1, 1, 1]
    assert (row["accuracy"], row["accuracy_low"], row["accuracy_high"]) == (
        0.5,
        pytest.approx(1 / 3),
        pytest.approx(2 / 3),
    )
    assert row["correct_to_incorrect"] == 1
    assert row["judged"] == 2


def test_what_cannot_be_decided_is_not_classified_even_without_a_threshold() -> None:
    frame = curves([judged([0.9, NAN, NAN], [1, -1, -1])], everyone(3))
    first = without_threshold(frame).iloc[0]
    assert (first["correct"], first["unjudged"], first["not_classified"]) == (1, 0, 2)
    assert first["accuracy"] == 1
    assert first["recovered"] == pytest.approx(1 / 3)


def test_posts_without_a_caption_stand_apart() -> None:
    frame = curves(
        [judged([0.9, 0.9, 0.9], [1, 0, 0])], everyone(3), all=[True] * 3, without_caption=[False, True, True]
    )
    rows = without_threshold(frame).set_index("group")
    assert rows["accuracy"].to_dict() == {"all": pytest.approx(1 / 3), "without_caption": 0}
    assert rows["incorrect"].to_dict() == {"all": 2, "without_caption": 2}


def test_classes_have_wilsons_interval_and_the_whole_both_weightings() -> None:
    strata = Strata(("bar", "sky"), np.array([0] * 30 + [1] * 10), np.array([100.0, 900.0]))
    right = [1] * 24 + [0] * 6 + [1] * 2 + [0] * 8
    frame = without_threshold(curves([judged([0.5] * 40, right)], strata, rounds=400))
    classes = frame[frame["stratum"] != ""].set_index("stratum")
    wilson = binomtest(24, 30).proportion_ci(method="wilson")
    assert classes.loc["bar", ["accuracy", "ci_low", "ci_high"]].tolist() == pytest.approx(
        [0.8, wilson.low, wilson.high]
    )
    overall = frame[frame["stratum"] == ""].set_index("weighting")
    assert overall.loc["balanced", "accuracy"] == pytest.approx((0.8 + 0.2) / 2)
    assert overall.loc["frequency", "accuracy"] == pytest.approx(0.1 * 0.8 + 0.9 * 0.2)
    assert overall[["correct", "incorrect"]].sum(axis=1).tolist() == pytest.approx([40, 40])
    assert [*overall["judged"], *classes["judged"]] == [40, 40, 30, 10], "counted, whatever they weigh"
    spread = math.sqrt(0.25 * (0.8 * 0.2 / 30 + 0.2 * 0.8 / 10))
    width = overall.loc["balanced", "ci_high"] - overall.loc["balanced", "ci_low"]
    assert width == pytest.approx(2 * 1.96 * spread, rel=0.25)


def test_a_sample_of_the_whole_dataset_has_the_picture_s_labels_as_classes(partly: Opened) -> None:
    classes = by_picture(partly.part, partly.scores.info)
    labels = [CATEGORIES[label] for label in partly.part.image.argmax(axis=1)]
    assert [classes.names[of] for of in classes.of] == labels
    assert dict(zip(classes.names, classes.populations.tolist(), strict=True)) == Counter(labels)
    assert classes.populations.tolist() == sorted(classes.populations, reverse=True)
    groups = {"all": np.ones(1_000, np.bool_), "with_caption": partly.part.has_text}
    frame = without_threshold(
        table(partly.answers, partly.strata, partly.bootstrap, "accuracy", groups, NORMALISED, classes)  # type: ignore[arg-type]
    )
    apart = frame[frame["stratum"] != ""]
    assert set(apart["group"]) == {"all"}
    assert set(apart["weighting"]) == {""}
    row = apart[(apart["ensemble"] == "OnlyImg") & (apart["stratum"] == "harbor")].iloc[0]
    true = [next(iter(post.right), "") for post in partly.truth.posts]
    right = sum(label == place == "harbor" for label, place in zip(labels, true, strict=True))
    wilson = binomtest(right, labels.count("harbor")).proportion_ci(method="wilson")
    assert row[["correct", "incorrect"]].tolist() == [right, labels.count("harbor") - right]
    assert row[["ci_low", "ci_high"]].tolist() == pytest.approx([wilson.low, wilson.high])
    assert len(apart) == len(CATEGORIES) * len(ENSEMBLES)


def test_every_curve_has_every_column_once(partly: Opened) -> None:
    frame = curves(partly.answers, partly.strata)
    assert tuple(frame.columns) == CURVES
    keys = frame[["scale", "ensemble", "group", "stratum", "weighting", "threshold"]]
    assert not keys.duplicated().any()
    assert set(frame["ensemble"]) == {ensemble.name for ensemble in ENSEMBLES}


def test_halves_are_drawn_within_strata_and_do_not_depend_on_the_order() -> None:
    strata = Strata(("bar", "sky"), np.array([0, 1] * 20), np.array([1.0, 1.0]))
    ids = [f"post{number}" for number in range(40)]
    first = halves(strata, ids, 5)
    assert Counter(strata.of[first].tolist()) == {0: 10, 1: 10}
    back = halves(Strata(strata.names, strata.of[::-1], strata.populations), ids[::-1], 5)
    assert (back[::-1] == first).all()
    assert (halves(strata, ids, 6) != first).any()


def test_a_threshold_is_chosen_on_one_half_and_reported_on_the_other() -> None:
    chance = np.random.default_rng(1)
    confidence = chance.random(400)
    answer = judged(confidence.tolist(), (chance.random(400) < confidence).astype(int).tolist())
    strata, ids = everyone(400), [str(number) for number in range(400)]
    bootstrap = Bootstrap.within(strata, 200, 1)
    wishes = [Wish("accuracy", 0.7), Wish("coverage", 0.25)]
    rows = choices([answer], strata, ids, bootstrap, "accuracy", wishes, 5).to_dict("records")
    first = halves(strata, ids, 5)
    for row, wanted in zip(rows, ("accuracy_there", "recovered_there"), strict=True):
        kept = confidence >= row["threshold"]
        assert row["accuracy_there"] == pytest.approx(answer.right[kept & first].mean())
        assert row["recovered_there"] == pytest.approx(kept[first].mean())
        assert row["accuracy"] == pytest.approx(answer.right[kept & ~first].mean())
        assert row["recovered"] == pytest.approx(kept[~first].mean())
        assert row["ci_low"] < row["accuracy"] < row["ci_high"]
        assert row[wanted] >= row["value"]
        assert round(row["threshold"], 4) == row["threshold"]
        assert (row["chosen_on"], row["reported_on"]) == (200, 200)
    candidates = np.unique(np.floor(confidence[first] * 1e4) / 1e4)
    smaller = candidates[candidates < rows[0]["threshold"]]
    assert all(answer.right[(confidence >= each) & first].mean() < 0.7 for each in smaller)
    larger = candidates[candidates > rows[1]["threshold"]]
    assert all((confidence >= each)[first].mean() < 0.25 for each in larger)


def test_no_threshold_is_chosen_for_an_accuracy_that_only_a_handful_reaches() -> None:
    right = LEAST - 2  # of each half at most, so that more than the right ones must be kept
    answer = judged(np.linspace(0.9, 0.1, 60).tolist(), [1] * right + [0] * (60 - right))
    bootstrap = Bootstrap.within(everyone(60), 100, 1)
    ids = [str(number) for number in range(60)]
    (row,) = choices([answer], everyone(60), ids, bootstrap, "accuracy", [Wish("accuracy", 0.9)], 5).to_dict("records")
    assert math.isnan(row["threshold"])
    assert math.isnan(row["accuracy"])
    assert row["chosen_on"] == 30
