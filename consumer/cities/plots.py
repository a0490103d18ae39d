"""The pictures of the popularity page, as PNG: shares with intervals, hours by weekday, distances between cities."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from consumer.cities.figures import CityReport, Distance, matrix
from consumer.classify.places import readable
from consumer.count.figures import WEEKDAYS, week
from consumer.evaluate.pages.drawing import MUTED, OKABE_ITO, plain, png

FEW = 10
"""Posts of a cell below which it is marked: its share is mostly chance."""
LONGEST = 24
"""Characters of a city's name beside the distances."""
MOST_NAMED = 12
"""Cities up to which the distances are written into their fields."""


def shares(city: CityReport, top: int) -> bytes:
    """Dots with intervals: share of all posts, and of the classified ones."""
    places = city.places[:top][::-1]
    figure = Figure(figsize=(7.2, 1.3 + 0.32 * max(len(places), 2)), layout="constrained")
    axes = figure.subplots()
    rows = np.arange(len(places))
    for offset, name, of, colour, marker in (
        (0.14, "of {:,} classified posts", [place.of_classified for place in places], OKABE_ITO[0], "o"),
        (-0.14, "of all {:,} posts", [place.of_all for place in places], OKABE_ITO[1], "s"),
    ):
        at = np.array([share.share for share in of])
        low, high = np.array([share.low for share in of]), np.array([share.high for share in of])
        axes.errorbar(
            100 * at,
            rows + offset,
            xerr=100 * np.array([at - low, high - at]).clip(0),
            fmt=marker,
            color=colour,
            markersize=4.5,
            elinewidth=1.3,
            capsize=2,
            label=name.format(of[0].n),
        )
    axes.set_yticks(rows, [plain(readable(place.place)) for place in places])
    axes.set_xlim(left=0)
    axes.set_xlabel("share of the city's posts in %, with 95 % Wilson intervals")
    axes.grid(axis="x", color="#e4e4e4")
    figure.legend(loc="outside upper left", ncols=2, frameon=False)
    return png(figure)


def heat(city: CityReport, hours: dict[str, int], places: int) -> bytes | None:
    """Hour by weekday, local time: how the city's posts are spread, then the most frequent places' share of each cell.

    Returns:
        None when no post's local time is known.
    """
    if not sum(hours.values()):
        return None
    names = [place.place for place in city.places[:places]]
    figure = Figure(figsize=(7.2, 2.15 * (1 + len(names))), layout="constrained")
    panels = figure.subplots(1 + len(names), 1, squeeze=False)[:, 0]
    everything = np.array(week(hours))
    _cells(
        panels[0],
        everything / everything.sum(),
        everything,
        f"all {everything.sum():,} posts: share of the week's posts in each hour",
    )
    for panel, name in zip(panels[1:], names, strict=True):
        counts = np.array(week(hours, name))
        share = np.divide(counts, everything, out=np.full(counts.shape, np.nan), where=everything > 0)
        _cells(panel, share, everything, f"{plain(readable(name))}, {counts.sum():,} posts: share of all in that hour")
    return png(figure)


def _cells(axes: Axes, share: np.ndarray, posts: np.ndarray, title: str) -> None:
    axes.set_facecolor("#ececec")
    enough = share[posts >= FEW]  # the scale is theirs: one post alone is 100 %
    most = 100 * float(np.nanmax(enough if enough.size else share)) or 1.0
    mesh = axes.pcolormesh(
        np.arange(25),
        np.arange(8),
        100 * share,
        cmap="viridis",
        vmin=0,
        vmax=most,
        edgecolors="white",
        lw=0.4,
        alpha=np.where(posts < FEW, 0.4, 1.0),  # type: ignore[arg-type]  # its stubs know one number only
    )
    few_days, few_hours = np.nonzero((posts < FEW) & (posts > 0))
    axes.scatter(few_hours + 0.5, few_days + 0.5, s=5, color="white", edgecolors="black", linewidths=0.4)
    axes.invert_yaxis()
    axes.set_yticks(np.arange(7) + 0.5, [name[:3] for name in WEEKDAYS])
    axes.set_xticks(np.arange(0, 25, 3), [f"{hour}:00" for hour in range(0, 25, 3)])
    axes.tick_params(length=0)
    axes.set_title(title, loc="left", fontsize=9.5)
    bar = axes.figure.colorbar(mesh, ax=axes, pad=0.01)
    bar.set_label("%", rotation=0, labelpad=8)
    bar.outline.set_visible(False)


def distances(found: list[Distance]) -> bytes:
    """Cities against cities: the darker, the more differently they are distributed over the places."""
    cities, table = matrix(found)
    size = max(3.4, 1.6 + 0.55 * len(cities))
    figure = Figure(figsize=(size + 0.8, size), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(np.where(np.eye(len(cities), dtype=bool), np.nan, table), cmap="viridis_r", vmin=0)
    names = [plain(city if len(city) <= LONGEST else f"{city[:LONGEST]}…") for city in cities]
    axes.set_xticks(range(len(cities)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(cities)), names)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    if len(cities) <= MOST_NAMED:
        middle = np.nanmax(table) / 2
        for i, j in np.argwhere(~np.eye(len(cities), dtype=bool)):
            colour = "white" if table[i, j] > middle else "black"
            axes.text(j, i, f"{table[i, j]:.2f}", ha="center", va="center", color=colour, fontsize=8)
    bar = figure.colorbar(image, ax=axes, shrink=0.85)
    bar.set_label("Jensen-Shannon distance", color=MUTED)
    return png(figure)
