"""The figures of the report, as PNG, from the tables that `curves` wrote. It draws; it computes nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from consumer.classify.places import readable
from consumer.evaluate.pages.drawing import DASHES, MARKERS, MUTED, OKABE_ITO, plain, png
from consumer.evaluate.scores.decide import CONDITIONAL, TALKED_OF

Scale = Literal["raw", "normalised"]

FADED = 0.12
WIDTH = 9.4
MAIN = CONDITIONAL.name
"""What the worker does unless told otherwise: where one ensemble must do, it is this."""
FATES = (
    ("correct", "#009e73", ""),
    ("incorrect", "#d55e00", "//"),
    ("unjudged", "#b8b8b8", ".."),
    ("not_classified", "#ececec", ""),
)
"""Column, colour and hatch, in the order of the bars."""
LEAST = 10
"""Judged posts below which a curve over thresholds ends: an accuracy of three posts is noise."""
BAR_STEPS: dict[Scale, float] = {"raw": 0.2, "normalised": 0.1}


@dataclass(frozen=True, slots=True)
class Look:
    """How one ensemble is drawn, in all figures alike."""

    colour: str
    marker: str
    dashes: Any


def looks(ensembles: Sequence[str]) -> dict[str, Look]:
    """A look for each ensemble; after nine they repeat."""
    return {
        name: Look(OKABE_ITO[i % 9], MARKERS[i % 9], DASHES[i % 9]) for i, name in enumerate(dict.fromkeys(ensembles))
    }


def usual_weighting(table: pd.DataFrame) -> str:
    """The talk's, every class the same; in a sample of the whole dataset every post."""
    return "balanced" if (table["weighting"] == "balanced").any() else "frequency"


def thresholds(curves: pd.DataFrame, scale: Scale, measure: str) -> bytes | None:
    """Accuracy of the classified, and the share that is classified, over thresholds."""
    rows = overall(curves[curves["scale"] == scale])
    if rows.empty:
        return None
    figure = Figure(figsize=(WIDTH, 4.3), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, look, of in _ensembles(rows):
        enough = of[of["correct"] + of["incorrect"] >= LEAST]
        _line(left, enough["threshold"], enough["accuracy"], look, name)
        _band(left, name, enough["threshold"], enough["ci_low"], enough["ci_high"], look)
        _line(right, of["threshold"], of["recovered"], look, None)
    what = "raw score (weighted sum)" if scale == "raw" else "normalised confidence"
    for axes, title in ((left, f"{measure} of the classified"), (right, "share of posts that are classified")):
        _share_axis(axes, title)
        axes.set_xlim(0, rows["threshold"].max())
        axes.set_xlabel(f"threshold on the {what}")
    _legend(figure)
    return png(figure)


def equal_coverage(coverage: pd.DataFrame, measure: str) -> bytes | None:
    """Accuracy of the most confident share of the posts."""
    rows = overall(coverage)
    if rows.empty:
        return None
    figure = Figure(figsize=(WIDTH * 0.8, 4.6), layout="constrained")
    axes = figure.subplots()
    for name, look, of in _ensembles(rows):
        _line(axes, of["coverage"], of["accuracy"], look, name)
        _band(axes, name, of["coverage"], of["ci_low"], of["ci_high"], look)
    _share_axis(axes, measure)
    _coverage_axis(axes)
    _legend(figure)
    return png(figure)


def risk(coverage: pd.DataFrame, areas: pd.DataFrame) -> bytes | None:
    """Risk over coverage, and beside it the area under each curve with the least possible one."""
    rows, areas = overall(coverage), overall(areas)
    if rows.empty or areas.empty:
        return None
    figure = Figure(figsize=(WIDTH, 4.3), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    styles = looks(list(areas["ensemble"]))
    for name, look, of in _ensembles(rows):
        _line(left, of["coverage"], 1 - of["accuracy"], look, name)
    _share_axis(left, "share of wrong labels (risk)")
    _coverage_axis(left)
    at = np.arange(len(areas))[::-1]
    for y, row in zip(at, areas.to_dict("records"), strict=True):
        look = styles[row["ensemble"]]
        right.plot([row["ci_low"], row["ci_high"]], [y, y], color=look.colour, lw=1.6)
        right.plot(row["aurc"], y, look.marker, color=look.colour)
        right.plot(row["optimum"], y, "|", color="black", markersize=12, label="least possible" if y == at[0] else None)
    right.set_yticks(at, [plain(name) for name in areas["ensemble"]])
    right.set_xlim(left=0)
    right.set_xlabel("AURC")
    right.grid(axis="x", color="#e4e4e4")
    _legend(figure)
    return png(figure)


def counts(curves: pd.DataFrame, scale: Scale) -> bytes | None:
    """What becomes of the posts at some thresholds: stacked bars, a panel for each ensemble."""
    rows = overall(curves[curves["scale"] == scale])
    if rows.empty:
        return None
    step = BAR_STEPS[scale]
    nearest = (rows["threshold"] / step).round() * step
    rows = rows[(rows["threshold"] - nearest).abs() < 1e-6]
    panels = list(_ensembles(rows))
    figure, every = _grid(len(panels), 2.6)
    for axes, (name, _, of) in zip(every, panels, strict=False):
        bottom = np.zeros(len(of))
        for fate, colour, hatch in FATES:
            axes.bar(
                of["threshold"],
                of[fate],
                step * 0.78,
                bottom,
                color=colour,
                hatch=hatch,
                edgecolor="#666666",
                lw=0.4,
                label=fate.replace("_", " ") if axes is every[0] else None,
            )
            bottom += of[fate].to_numpy()
        axes.set_title(plain(name), loc="left", fontsize=10)
        axes.set_xlim(-step / 2, rows["threshold"].max() + step / 2)
        axes.set_ylabel("posts")
        axes.set_xlabel("threshold" if scale == "normalised" else "threshold (raw)")
    _legend(figure)
    return png(figure)


def reliability(bins: pd.DataFrame, errors: dict[str, float], measure: str) -> bytes | None:
    """Accuracy against confidence; on the diagonal a confidence means what it says."""
    rows = overall(bins)
    if rows.empty:
        return None
    panels = list(_ensembles(rows))
    figure, every = _grid(len(panels), 3.0)
    for axes, (name, look, of) in zip(every, panels, strict=False):
        axes.plot(
            [0, 1], [0, 1], color=MUTED, lw=1, ls=":", label="as confident as right" if axes is every[0] else None
        )
        spread = np.stack([of["accuracy"] - of["ci_low"], of["ci_high"] - of["accuracy"]]).clip(0)
        axes.errorbar(
            of["confidence"], of["accuracy"], spread, fmt=look.marker, color=look.colour, ms=4, lw=1, capsize=2
        )
        error = errors.get(name)
        axes.set_title(plain(name) + ("" if error is None else f"\nECE {error:.3f}"), loc="left", fontsize=10)
        _share_axis(axes, measure)
        axes.set_xlim(0, 1)
        axes.set_xlabel("normalised confidence")
    _legend(figure)
    return png(figure)


def denoising(table: pd.DataFrame, scale: Scale, areas: dict[str, float]) -> bytes | None:
    """No-place pictures rejected, and places kept: over thresholds for one ensemble, and against each other for all."""
    rows = overall(table[table["scale"] == scale])
    if rows.empty:
        return None
    figure = Figure(figsize=(WIDTH, 4.3), layout="constrained")
    left, right = figure.subplots(1, 2)
    chosen = MAIN if (rows["ensemble"] == MAIN).any() else str(rows["ensemble"].iloc[0])
    of = rows[rows["ensemble"] == chosen]
    for column, name, colour, dashes in (
        ("rejected", "no place shown: rejected", OKABE_ITO[1], "-"),
        ("kept", "place shown: kept", OKABE_ITO[0], "--"),
    ):
        left.plot(of["threshold"], of[column], color=colour, ls=dashes, label=name)
        left.fill_between(of["threshold"], of[f"{column}_low"], of[f"{column}_high"], color=colour, alpha=FADED, lw=0)
    left.set_xlim(0, rows["threshold"].max())
    left.set_xlabel("threshold" + (" (raw)" if scale == "raw" else ""))
    left.set_title(plain(chosen), loc="left", fontsize=10)
    left.legend(frameon=False, fontsize=8.5, loc="center right")
    for name, look, each in _ensembles(rows):
        area = areas.get(name)
        label = name if area is None else f"{name}: {area:.2f}"
        right.plot(each["kept"], each["rejected"], color=look.colour, ls=look.dashes, label=plain(label))
    right.plot([0, 1], [1, 0], color=MUTED, lw=1, ls=":")
    right.set_xlim(0, 1)
    right.xaxis.set_major_formatter(PercentFormatter(1))
    right.set_xlabel("places kept")
    right.set_title("AUROC; dotted: guessing", loc="left", fontsize=10)
    right.legend(frameon=False, fontsize=8.5, loc="lower left")
    for axes, title in ((left, "share of pictures"), (right, "no-place pictures rejected")):
        _share_axis(axes, title)
    return png(figure)


def dilution(table: pd.DataFrame) -> bytes | None:
    """Mean probability of a cluster's best label, and of the whole cluster."""
    rows = table[(table["cluster"] != "") & (table["posts"] > 0)]
    names = set(rows["ensemble"])
    rows = rows[rows["ensemble"] == (MAIN if MAIN in names else next(iter(sorted(names)), ""))]
    if rows.empty:
        return None
    rows = rows.assign(gain=rows["cluster_probability"] - rows["label_probability"]).sort_values("gain").tail(20)
    figure = Figure(figsize=(WIDTH, 1.3 + 0.36 * len(rows)), layout="constrained")
    axes = figure.subplots()
    at = np.arange(len(rows))
    axes.hlines(at, rows["label_probability"], rows["cluster_probability"], color="#999999", lw=2)
    axes.plot(rows["label_probability"], at, "o", color=OKABE_ITO[1], label="best label")
    axes.plot(rows["cluster_probability"], at, "s", color=OKABE_ITO[0], label="whole cluster")
    names_of = [
        ", ".join(readable(each) for each in cluster.split("|")[:3]) + (" …" if cluster.count("|") > 2 else "")
        for cluster in rows["cluster"]
    ]
    axes.set_yticks(at, [plain(f"{name} ({posts:,})") for name, posts in zip(names_of, rows["posts"], strict=True)])
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel("mean probability")
    axes.grid(axis="x", color="#e4e4e4")
    _legend(figure)
    return png(figure)


def classes(top1: pd.DataFrame, measure: str, most: int = 3) -> bytes | None:
    """Accuracy of each class without a threshold, with Wilson intervals; a few ensembles."""
    rows = top1[(top1["stratum"] != "") & (top1["group"] == "all")]
    if rows.empty:
        return None
    wanted = [name for name in TALKED_OF if name in set(rows["ensemble"])]
    styles = looks(list(rows["ensemble"]))
    names = list(dict.fromkeys(rows["stratum"]))[::-1]
    figure = Figure(figsize=(WIDTH * 0.85, 1.3 + 0.44 * len(names)), layout="constrained")
    axes = figure.subplots()
    for number, name in enumerate((wanted or list(styles))[:most]):
        of = rows[rows["ensemble"] == name].set_index("stratum").reindex(names)
        spread = np.stack([of["accuracy"] - of["ci_low"], of["ci_high"] - of["accuracy"]]).clip(0)
        at = np.arange(len(names)) + 0.22 * (1 - number)
        look = styles[name]
        axes.errorbar(
            of["accuracy"],
            at,
            xerr=spread,
            fmt=look.marker,
            color=look.colour,
            ms=4.5,
            lw=1.2,
            capsize=2,
            label=plain(name),
        )
    axes.set_yticks(range(len(names)), [plain(readable(name)) for name in names])
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel(measure)
    axes.grid(axis="x", color="#e4e4e4")
    _legend(figure)
    return png(figure)


def overall(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of all classes and all posts, as they are usually weighted."""
    if table.empty:
        return table
    rows = table[table["weighting"] == usual_weighting(table)]
    for column, wanted in (("stratum", ""), ("group", "all")):
        if column in rows:
            rows = rows[rows[column] == wanted]
    return rows


def _ensembles(rows: pd.DataFrame) -> Iterator[tuple[str, Look, pd.DataFrame]]:
    for name, look in looks(list(rows["ensemble"])).items():
        yield name, look, rows[rows["ensemble"] == name]


def _line(axes: Axes, x: pd.Series, y: pd.Series, look: Look, name: str | None) -> None:
    axes.plot(
        x,
        y,
        color=look.colour,
        ls=look.dashes,
        marker=look.marker,
        ms=4,
        markevery=max(1, len(x) // 8),
        lw=1.6,
        label=None if name is None else plain(name),
    )


def _band(axes: Axes, name: str, x: pd.Series, low: pd.Series, high: pd.Series, look: Look) -> None:
    if name in TALKED_OF:
        axes.fill_between(x, low, high, color=look.colour, alpha=FADED, linewidth=0)


def _share_axis(axes: Axes, title: str) -> None:
    axes.set_ylim(0, 1.005)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_ylabel(title)
    axes.grid(color="#e4e4e4")


def _coverage_axis(axes: Axes) -> None:
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("coverage: the most confident share of the posts")


def _grid(panels: int, height: float) -> tuple[Figure, list[Axes]]:
    columns = min(3, panels)
    rows = -(-panels // columns)
    figure = Figure(figsize=(WIDTH, 0.5 + height * rows), layout="constrained")
    every = list(np.ravel(figure.subplots(rows, columns, squeeze=False, sharey=True)))
    for axes in every[panels:]:
        axes.set_axis_off()
    return figure, every


def _legend(figure: Figure) -> None:
    figure.legend(loc="outside upper left", ncols=4, frameon=False, fontsize=9)
