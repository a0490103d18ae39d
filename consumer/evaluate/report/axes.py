"""What the figures of the report have in common: how an ensemble looks, axes of shares, panels, the legend."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from consumer.evaluate.pages.drawing import DASHES, MARKERS, OKABE_ITO, plain
from consumer.evaluate.scores.decide import TALKED_OF

FADED = 0.12
WIDTH = 9.4
BARS: dict[str, Any] = {"ms": 4, "lw": 1, "capsize": 2}
"""Of dots with error bars."""


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


def ensembles(rows: pd.DataFrame) -> Iterator[tuple[str, Look, pd.DataFrame]]:
    """Each ensemble's name, look and rows."""
    for name, look in looks(list(rows["ensemble"])).items():
        yield name, look, rows[rows["ensemble"] == name]


def line(axes: Axes, x: pd.Series, y: pd.Series, look: Look, name: str | None) -> None:
    """One ensemble's line."""
    label, every = None if name is None else plain(name), max(1, len(x) // 8)
    axes.plot(x, y, look.marker, color=look.colour, ls=look.dashes, ms=4, markevery=every, lw=1.6, label=label)


def band(axes: Axes, name: str, x: pd.Series, low: pd.Series, high: pd.Series, look: Look) -> None:
    """The interval around it; of the talk's ensembles only."""
    if name in TALKED_OF:
        axes.fill_between(x, low, high, color=look.colour, alpha=FADED, linewidth=0)


def share_axis(axes: Axes, title: str) -> None:
    """The vertical axis is a share."""
    axes.set(ylim=(0, 1.005), ylabel=title)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(color="#e4e4e4")


def percent_axis(axes: Axes, title: str) -> None:
    """The horizontal axis is a share."""
    axes.set(xlim=(0, 1), xlabel=title)
    axes.xaxis.set_major_formatter(PercentFormatter(1))


def spread(rows: pd.DataFrame) -> NDArray[np.float64]:
    """How far the interval of an accuracy reaches to either side."""
    return np.stack([rows["accuracy"] - rows["ci_low"], rows["ci_high"] - rows["accuracy"]]).clip(0)


def grid(panels: int, height: float) -> tuple[Figure, list[Axes]]:
    """Panels of this height in inches, three in a row; those left over are empty."""
    columns = min(3, panels)
    rows = -(-panels // columns)
    figure = Figure(figsize=(WIDTH, 0.5 + height * rows), layout="constrained")
    every = list(np.ravel(figure.subplots(rows, columns, squeeze=False, sharey=True)))
    for axes in every[panels:]:
        axes.set_axis_off()
    return figure, every


def legend(figure: Figure) -> None:
    """All labels, above the figure."""
    figure.legend(loc="outside upper left", ncols=4, frameon=False, fontsize=9)
