from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from consumer.evaluate.marks.truth import Scale
from consumer.evaluate.pages import drawing
from consumer.evaluate.report import plots
from consumer.evaluate.report.axes import looks
from consumer.evaluate.samples.enough import LEAST

SCALES: tuple[tuple[Scale, float], ...] = (("raw", 1.6), ("normalised", 1.0))


def found(measure: str = "accuracy", classes: pd.DataFrame | None = None) -> Any:
    """What is reported on, as far as these figures ask for it."""
    return SimpleNamespace(measure=measure, classes=classes)


def curves(top: float = 1.6, scale: str = "raw", ensembles: tuple[str, ...] = ("OnlyImg", "$a$_b")) -> pd.DataFrame:
    """100 posts of which fewer and fewer are classified."""
    threshold = np.round(np.arange(0, top + 1e-9, 0.1), 2)
    kept = np.round(100 * np.clip(1 - threshold / 1.2, 0, None)).astype(int)
    constant = {"measure": "accuracy", "scale": scale, "group": "all", "stratum": "", "weighting": "balanced"}
    posts = {"correct": kept // 2, "incorrect": kept - kept // 2, "unjudged": 0, "not_classified": 100 - kept}
    posts["judged"] = kept
    accuracy = {"accuracy": np.where(kept, 0.5, np.nan), "ci_low": 0.4, "ci_high": 0.6}
    each = pd.DataFrame(constant | posts | accuracy | {"threshold": threshold, "recovered": kept / 100})
    table = pd.concat([each.assign(ensemble=name) for name in ensembles])
    others = [table.assign(group="with_caption"), table.assign(stratum="bridge"), table.assign(weighting="frequency")]
    return pd.concat([table, *(each.assign(accuracy=0.123) for each in others)], ignore_index=True)


def test_the_axis_of_raw_scores_runs_to_1_6_and_that_of_confidences_to_1() -> None:
    both = pd.concat([curves(), curves(1.0, "normalised")])
    for scale, top in SCALES:
        figure: Any = plots.thresholds(plots.overall(both, scale), found())
        assert [axes.get_xlim() for axes in figure.axes] == [(0, top), (0, top)]
        assert figure.axes[0].get_ylabel() == "accuracy of the classified"
    agreement: Any = plots.thresholds(plots.overall(both, "raw"), found("agreement"))
    assert agreement.axes[0].get_ylabel() == "agreement of the classified"


def test_only_the_curves_of_all_classes_and_posts_are_drawn_and_end_where_few_are_left() -> None:
    figure: Any = plots.thresholds(plots.overall(curves()), found())
    left, right = figure.axes
    assert len(left.lines) == len(right.lines) == 2
    for line in left.lines:
        assert set(line.get_ydata()) == {0.5}
        assert max(line.get_xdata()) == 1.0  # 17 posts; at 1.1 there are 8
    assert max(right.lines[0].get_xdata()) == 1.6
    assert LEAST == 10


def test_curves_over_coverage_begin_where_ten_judged_posts_are_covered() -> None:
    """Two of a hundred posts have an accuracy of 0, 50 or 100 %, which one cannot read."""
    coverage = np.round(np.arange(0.02, 1.001, 0.02), 2)
    constant = {"group": "all", "weighting": "frequency", "ci_low": 0.1, "ci_high": 0.9, "ensemble": "OnlyImg"}
    rows = pd.DataFrame(constant | {"coverage": coverage, "accuracy": 0.5, "judged": 100 * coverage})
    risk = pd.DataFrame({"aurc": [0.3], "optimum": [0.2]} | {name: [each] for name, each in constant.items()})
    of = found()
    of.tables = {"risk": risk}
    for draw in (plots.equal_coverage, plots.risk):
        figure: Any = draw(rows, of)
        assert min(figure.axes[0].lines[0].get_xdata()) == 0.1, draw.__name__
        assert draw(rows.assign(judged=9), of) is None, "no empty figure"


def test_bins_of_less_than_ten_posts_are_not_drawn_and_an_error_says_of_how_many_it_is() -> None:
    rows = pd.DataFrame({"confidence": [0.2, 0.5, 0.8], "accuracy": [1.0, 0.5, 0.9], "posts": [LEAST - 1, LEAST, 40]})
    rows = rows.assign(ensemble="OnlyImg", ci_low=rows["accuracy"] - 0.1, ci_high=1.0)
    of = found()
    of.by_ensemble = lambda *names, **wanted: {"OnlyImg": {"ece": 0.1, "posts": 1_059}}
    figure: Any = plots.reliability(rows, of)
    axes = figure.axes[0]
    assert axes.containers[0].lines[0].get_xdata().tolist() == [0.5, 0.8]
    assert plots.reliability(rows.assign(posts=9), of) is None
    assert axes.get_title(loc="left").endswith("ECE 0.100 of 1,059 posts")


def test_curves_and_classes_say_of_how_many_posts_they_are() -> None:
    threshold = np.linspace(0, 1, 5)
    rows = pd.DataFrame({"threshold": threshold, "rejected": threshold, "kept": 1 - threshold, "ensemble": "OnlyImg"})
    rows = rows.assign(no_place=12, places=1_088, rejected_low=0, rejected_high=1, kept_low=0, kept_high=1)
    of = found()
    of.by_ensemble = lambda *names, **wanted: {}
    figure: Any = plots.denoising(rows, of)
    said = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert said == ["no place shown: rejected, of 12", "place shown: kept, of 1,088"]
    classes: Any = plots.classes(rows, found(classes=curves().assign(stratum="sky", judged=7).head(1)))
    assert [label.get_text() for label in classes.axes[0].get_yticklabels()] == ["sky (7)"]


def test_every_bar_is_the_whole_sample() -> None:
    figure: Any = plots.counts(plots.overall(curves()), found())
    heights: dict[float, float] = {}
    for bar in figure.axes[0].patches:
        middle = round(bar.get_x() + bar.get_width() / 2, 6)
        heights[middle] = heights.get(middle, 0) + bar.get_height()
    assert sorted(heights) == pytest.approx(np.arange(0, 1.61, 0.2))
    assert set(heights.values()) == {100}


def test_ensembles_look_different_and_the_same_in_every_figure() -> None:
    styles = looks(["a", "b", "a", "c"])
    assert list(styles) == ["a", "b", "c"]
    assert len({look.colour for look in styles.values()}) == len({str(look.dashes) for look in styles.values()}) == 3
    assert looks(["a", "b", "c", "d"])["c"] == styles["c"]


def test_what_there_is_nothing_of_is_not_drawn() -> None:
    nothing = found(classes=curves().iloc[:0])
    diluted = pd.DataFrame({"cluster": [""], "posts": [5], "ensemble": ["OnlyImg"]})
    nothing.tables = {plot.table: curves().iloc[:0] for plot in plots.PLOTS} | {"top1": curves(), "dilution": diluted}
    assert list(plots.drawn(nothing)) == []


def test_a_figure_s_docstring_says_what_it_shows_and_how_to_read_it() -> None:
    for plot in plots.PLOTS:
        assert plot.alt("agreement").endswith(f". The numbers are in {plot.table}.csv.")
        assert "{" not in plot.alt("agreement")
        assert plot.how.endswith(".")


def test_text_between_dollars_is_text() -> None:
    rows = plots.overall(curves(ensembles=("$\\frac$", "a_b^c")))
    first, again = (drawing.png(plots.thresholds(rows, found())) for _ in range(2))
    assert first.startswith(b"\x89PNG")
    assert again == first


def test_a_class_without_a_cluster_s_gain_comes_last() -> None:
    table = pd.DataFrame(
        {
            "ensemble": "OnlyImg",
            "cluster": ["a|b", "c|d|e|f", ""],
            "posts": [9, 5, 14],
            "label_probability": [0.3, 0.2, 0.3],
            "cluster_probability": [0.5, 0.25, 0.4],
        }
    )
    figure: Any = plots.dilution(table, found())
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["c, d, e … (5)", "a, b (9)"]
    label, cluster = (line.get_xdata() for line in axes.lines)
    gains = [after - before for before, after in zip(label, cluster, strict=True)]
    assert all(lower < higher for lower, higher in pairwise(gains))
