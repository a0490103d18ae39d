"""The one sentence to quote: how often the labels are right that a worker gives, and how many posts get one."""

import pandas as pd

from consumer.evaluate.scores.decide import CONDITIONAL
from consumer.evaluate.stats.measure import Measure


def headline(curves: pd.DataFrame, measure: Measure, threshold: float, whole: bool) -> str | None:
    """The sentence, for the worker's default ensemble; every class counts as often as it is in the dataset.

    A picture that shows no place and gets no label is not wrong here, as it is without a threshold.

    Args:
        curves: the rows of curves.csv, as they are called in memory.
        measure: what a right label is called.
        threshold: normalised; the nearest of the curves' is taken.
        whole: whether the sample is of the whole dataset, not of some classes.

    Returns:
        None where the ensemble is left out, since it cannot decide every post.
    """
    rows = curves[(curves["ensemble"] == CONDITIONAL.name) & (curves["scale"] == "normalised")]
    rows = rows[(rows["group"] == "all") & (rows["stratum"] == "") & (rows["weighting"] == "frequency")]
    if rows.empty:
        return None
    row = rows.loc[(rows["threshold"] - threshold).abs().idxmin()]
    if row["judged"]:
        right = "were right" if measure == "accuracy" else "are as the pre-label"
        interval = f"95 %: {100 * row['ci_low']:.0f}–{100 * row['ci_high']:.0f} %"
        found = f"{_percent(row['accuracy'])} {right} ({interval}, {row['judged']:.0f} judged)"
    else:
        found = "none was judged"
    if row["judged"] and row["unjudged"]:
        given = row["correct"] + row["incorrect"] + row["unjudged"]
        found += f", {_percent(row['unjudged'] / given)} were not judged"
    posts = "posts" if whole else "the drawn classes' posts"
    return (
        f"Of the labels given by {CONDITIONAL.name} at the threshold {row['threshold']:g}, {found}; "
        f"{_percent(row['recovered'])} of {posts} get one"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
