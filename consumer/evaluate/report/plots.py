"""The figures of the report, from the tables that `curves` wrote: it draws, and computes nothing.

A further figure is a function and its line in `PLOTS`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from consumer.classify.places import readable
from consumer.evaluate.marks.truth import Scale
from consumer.evaluate.pages.drawing import MUTED, OKABE_ITO, plain, png
from consumer.evaluate.report.axes import (
    BARS,
    FADED,
    WIDTH,
    band,
    ensembles,
    grid,
    legend,
    line,
    looks,
    percent_axis,
    share_axis,
    spread,
)
from consumer.evaluate.report.found import Found
from consumer.evaluate.samples.enough import LEAST
from consumer.evaluate.scores.decide import CONDITIONAL, TALKED_OF

FATES = (
    ("correct", "#009e73", ""),
    ("incorrect", "#d55e00", "//"),
    ("unjudged", "#b8b8b8", ".."),
    ("not_classified", "#ececec", ""),
)
"""Column, colour and hatch, in the order of the bars."""
COVERAGE = "coverage: the most confident share of the posts"
BAR_STEPS: dict[Scale, float] = {"raw": 0.2, "normalised": 0.1}


def thresholds(rows: pd.DataFrame, found: Found) -> Figure:
    """{measure} and share classified over thresholds.

    To the right fewer posts are classified, and those should be right more often; read both panels at the same
    threshold. A line ends where fewer than 10 judged posts are left; the bands of the talk's three ensembles are 95 %
    bootstrap intervals.
    """
    what = "raw score (weighted sum)" if (rows["scale"] == "raw").all() else "normalised confidence"
    titles = f"{found.measure} of the classified", "share of posts that are classified"
    return _over(rows, "threshold", f"threshold on the {what}", "recovered", titles)


def equal_coverage(rows: pd.DataFrame, found: Found) -> Figure | None:
    """{measure} over coverage.

    Every ensemble keeps the same share of posts, its most confident ones; the higher curve is the better ensemble,
    whatever its scale. A line begins where 10 judged posts are covered.
    """
    if not (rows["judged"] >= LEAST).any():
        return None
    figure = Figure(figsize=(WIDTH * 0.8, 4.6), layout="constrained")
    axes = figure.subplots()
    for name, look, of in ensembles(rows):
        of = of[of["judged"] >= LEAST]
        line(axes, of["coverage"], of["accuracy"], look, name)
        band(axes, name, of["coverage"], of["ci_low"], of["ci_high"], look)
    share_axis(axes, found.measure)
    percent_axis(axes, COVERAGE)
    legend(figure)
    return figure


def risk(rows: pd.DataFrame, found: Found) -> Figure | None:
    """Share of wrong labels over coverage, and the area under each curve (risk.csv).

    A good confidence has few wrong labels on the left, among the posts it is surest of; the black line is the least
    area that the same labels allow. A line begins where 10 judged posts are covered.
    """
    if not (rows["judged"] >= LEAST).any():
        return None
    figure = Figure(figsize=(WIDTH, 4.3), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    areas = overall(found.tables["risk"])
    styles = looks(list(areas["ensemble"]))
    for name, look, of in ensembles(rows):
        of = of[of["judged"] >= LEAST]
        line(left, of["coverage"], 1 - of["accuracy"], look, name)
    share_axis(left, "share of wrong labels (risk)")
    percent_axis(left, COVERAGE)
    at = np.arange(len(areas))[::-1]
    for y, row in zip(at, areas.to_dict("records"), strict=True):
        look = styles[row["ensemble"]]
        right.plot([row["ci_low"], row["ci_high"]], [y, y], color=look.colour, lw=1.6)
        right.plot(row["aurc"], y, look.marker, color=look.colour)
        right.plot(row["optimum"], y, "|", color="black", markersize=12, label="least possible" if y == at[0] else None)
    right.set_yticks(at, [plain(name) for name in areas["ensemble"]])
    right.set(xlim=(0, None), xlabel="AURC")
    right.grid(axis="x", color="#e4e4e4")
    legend(figure)
    return figure


def counts(rows: pd.DataFrame, found: Found) -> Figure:
    """What becomes of the posts over thresholds.

    Each bar is the whole sample: with a higher threshold posts move from correct and incorrect to not classified.
    """
    scale: Scale = rows["scale"].iloc[0]
    step = BAR_STEPS[scale]
    nearest = (rows["threshold"] / step).round() * step
    rows = rows[(rows["threshold"] - nearest).abs() < 1e-6]
    panels = list(ensembles(rows))
    figure, every = grid(len(panels), 2.6)
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
        axes.set(xlim=(-step / 2, rows["threshold"].max() + step / 2), ylabel="posts")
        axes.set_xlabel("threshold" if scale == "normalised" else "threshold (raw)")
    legend(figure)
    return figure


def reliability(rows: pd.DataFrame, found: Found) -> Figure | None:
    """{measure} over confidence in bins of equally many posts, 15 at most and 10 posts at least in each.

    On the dotted line a confidence of 70 % is right 7 times in 10; below it the model is too sure of itself, above it
    too careful.
    """
    if not (rows["posts"] >= LEAST).any():
        return None
    panels, errors = list(ensembles(rows)), found.by_ensemble("ece", group="all")
    figure, every = grid(len(panels), 3.0)
    for axes, (name, look, of) in zip(every, panels, strict=False):
        of = of[of["posts"] >= LEAST]
        axes.plot(
            [0, 1], [0, 1], color=MUTED, lw=1, ls=":", label="as confident as right" if axes is every[0] else None
        )
        axes.errorbar(of["confidence"], of["accuracy"], spread(of), fmt=look.marker, color=look.colour, **BARS)
        error = f"\nECE {errors[name]['ece']:.3f} of {errors[name]['posts']:,} posts" if name in errors else ""
        axes.set_title(plain(name) + error, loc="left", fontsize=10)
        share_axis(axes, found.measure)
        axes.set(xlim=(0, 1), xlabel="normalised confidence")
    legend(figure)
    return figure


def denoising(rows: pd.DataFrame, found: Found) -> Figure:
    """Share of no-place pictures rejected and of places kept.

    A threshold denoises well where it rejects no-place pictures while it still keeps the places: the farther to the
    upper right, the better.
    """
    figure = Figure(figsize=(WIDTH, 4.3), layout="constrained")
    left, right = figure.subplots(1, 2)
    chosen, areas = _main(rows), found.by_ensemble("auroc", scale="normalised")
    of = rows[rows["ensemble"] == chosen]
    no_place, places = of["no_place"].iloc[0], of["places"].iloc[0]
    for column, name, colour, dashes in (
        ("rejected", f"no place shown: rejected, of {no_place:,}", OKABE_ITO[1], "-"),
        ("kept", f"place shown: kept, of {places:,}", OKABE_ITO[0], "--"),
    ):
        left.plot(of["threshold"], of[column], color=colour, ls=dashes, label=name)
        left.fill_between(of["threshold"], of[f"{column}_low"], of[f"{column}_high"], color=colour, alpha=FADED, lw=0)
    left.set(xlim=(0, rows["threshold"].max()), xlabel="threshold")
    left.set_title(plain(chosen), loc="left", fontsize=10)
    left.legend(frameon=False, fontsize=8.5, loc="center right")
    for name, look, each in ensembles(rows):
        label = f"{name}: {areas[name]['auroc']:.2f}" if name in areas else name
        right.plot(each["kept"], each["rejected"], color=look.colour, ls=look.dashes, label=plain(label))
    right.plot([0, 1], [1, 0], color=MUTED, lw=1, ls=":")
    percent_axis(right, "places kept")
    right.set_title("AUROC; dotted: guessing", loc="left", fontsize=10)
    right.legend(frameon=False, fontsize=8.5, loc="lower left")
    for axes, title in ((left, "share of pictures"), (right, "no-place pictures rejected")):
        share_axis(axes, title)
    return figure


def dilution(rows: pd.DataFrame, found: Found) -> Figure | None:
    """Probability of the best label and of its whole cluster.

    The longer the line, the more probability similar labels take from each other; the number of posts stands beside
    the cluster.
    """
    rows = rows[(rows["cluster"] != "") & (rows["posts"] > 0)]
    if rows.empty:
        return None
    rows = rows[rows["ensemble"] == _main(rows)]
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
    axes.set(xlim=(0, 1), ylim=(-0.6, len(rows) - 0.4), xlabel="mean probability")
    axes.grid(axis="x", color="#e4e4e4")
    legend(figure)
    return figure


def broader(rows: pd.DataFrame, found: Found) -> Figure | None:
    """{measure} of broader answers, and the share of posts without a place that gain one.

    Of the posts that no place reaches at the threshold, over the threshold of the groups. A line ends where fewer than
    10 judged answers are left; the bands of the talk's three ensembles are 95 % bootstrap intervals.
    """
    rows = rows[rows["level"] == ""]
    if not (rows["gained"] > 0).any():
        return None
    titles = f"{found.measure} of broader answers", "share of posts that gain one"
    return _over(rows, "broader_threshold", "threshold on the summed probability", "gained", titles)


def classes(rows: pd.DataFrame, found: Found) -> Figure | None:
    """{measure} per class without a threshold.

    Each dot is one class without a threshold, with its Wilson interval, the number of judged posts beside its name; an
    interval is as wide as the class's few posts make it, so look for what many classes have in common.
    """
    rows = found.classes
    if rows.empty:
        return None
    wanted = [name for name in TALKED_OF if name in set(rows["ensemble"])]
    styles = looks(list(rows["ensemble"]))
    names = list(dict.fromkeys(rows["stratum"]))[::-1]
    figure = Figure(figsize=(WIDTH * 0.85, 1.3 + 0.44 * len(names)), layout="constrained")
    axes = figure.subplots()
    for number, name in enumerate(wanted or list(styles)[:3]):
        of = rows[rows["ensemble"] == name].set_index("stratum").reindex(names)
        at = np.arange(len(names)) + 0.22 * (1 - number)
        look = styles[name]
        label = plain(name)
        axes.errorbar(of["accuracy"], at, xerr=spread(of), fmt=look.marker, color=look.colour, **BARS, label=label)
    posts = rows.groupby("stratum")["judged"].max()
    axes.set_yticks(range(len(names)), [plain(f"{readable(name)} ({posts[name]:,.0f})") for name in names])
    percent_axis(axes, found.measure)
    axes.grid(axis="x", color="#e4e4e4")
    legend(figure)
    return figure


def overall(table: pd.DataFrame, scale: Scale | None = None) -> pd.DataFrame:
    """The rows of all classes and all posts, as they are usually weighted; on one scale where there are two."""
    balanced = "weighting" in table and (table["weighting"] == "balanced").any()
    usual = "balanced" if balanced else "frequency"
    for column, wanted in (("weighting", usual), ("stratum", ""), ("group", "all"), ("scale", scale)):
        if column in table and wanted is not None:
            table = table[table[column] == wanted]
    return table


def _over(rows: pd.DataFrame, at: str, title: str, share: str, titles: tuple[str, str]) -> Figure:
    """Accuracy, where enough posts are judged, and a share, both over the thresholds in the column ``at``."""
    figure = Figure(figsize=(WIDTH, 4.3), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, look, of in ensembles(rows):
        enough = of[of["judged"] >= LEAST]
        line(left, enough[at], enough["accuracy"], look, name)
        band(left, name, enough[at], enough["ci_low"], enough["ci_high"], look)
        line(right, of[at], of[share], look, None)
    for axes, what in zip((left, right), titles, strict=True):
        share_axis(axes, what)
        axes.set(xlim=(0, rows[at].max()), xlabel=title)
    legend(figure)
    return figure


def _main(rows: pd.DataFrame) -> str:
    """What the worker does unless told otherwise: where one ensemble must do, it is this."""
    names = list(rows["ensemble"])
    return CONDITIONAL.name if CONDITIONAL.name in names else str(names[0])


@dataclass(frozen=True, slots=True)
class Plot:
    """One figure of the report.

    Attributes:
        name: of its PNG.
        section: of the page in which it stands.
        table: that it is drawn from.
        draw: given the table's rows `overall`. Its docstring stands on the page: what it shows, and how to read it.
        scale: of these rows.
    """

    name: str
    section: str
    table: str
    draw: Callable[[pd.DataFrame, Found], Figure | None]
    scale: Scale | None = None

    @property
    def how(self) -> str:
        """To read it."""
        return " ".join(str(self.draw.__doc__).partition("\n\n")[2].split())

    def alt(self, measure: str) -> str:
        """What it shows, for who does not see it."""
        what = str(self.draw.__doc__).partition("\n\n")[0].format(measure=measure)
        return f"{what} The numbers are in {self.table}.csv."


PLOTS = (
    Plot("classes", "without", "top1", classes),
    Plot("thresholds_raw", "raw", "curves", thresholds, "raw"),
    Plot("counts_raw", "raw", "curves", counts, "raw"),
    Plot("thresholds_normalised", "normalised", "curves", thresholds, "normalised"),
    Plot("counts_normalised", "normalised", "curves", counts, "normalised"),
    Plot("equal_coverage", "coverage", "coverage", equal_coverage),
    Plot("risk", "confidence", "coverage", risk),
    Plot("reliability", "confidence", "reliability", reliability),
    Plot("denoising", "denoising", "denoising", denoising, "normalised"),
    Plot("dilution", "dilution", "dilution", dilution),
    Plot("broader", "broader", "broader", broader),
)


def drawn(found: Found) -> Iterator[tuple[Plot, bytes]]:
    """The figures that there is something to draw of, as PNG."""
    for plot in PLOTS:
        rows = overall(found.tables[plot.table], plot.scale)
        if len(rows) and (figure := plot.draw(rows, found)) is not None:
            yield plot, png(figure)
