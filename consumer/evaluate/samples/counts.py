"""How often classes are named, side by side: as a table to read, a CSV, and the talk's bar chart."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from consumer.evaluate.pages import files
from consumer.evaluate.pages.drawing import OKABE_ITO, plain, png

SHOWN = 20
"""Classes in table and chart, at least; the CSV has all."""


def ranked(*counts: Mapping[str, int]) -> list[str]:
    """Classes by the smallest of their counts, the most frequent first; then by the largest, then by name."""
    places = {place for each in counts for place in each}

    def frequency(place: str) -> tuple[int, int, str]:
        of_place = [each.get(place, 0) for each in counts]
        return -min(of_place), -max(of_place), place

    return sorted(places, key=frequency)


def show(counts: Mapping[str, Mapping[str, int]], drawn: Mapping[str, int]) -> None:
    """Print the most frequent classes.

    Args:
        counts: by who counted, then by class.
        drawn: posts drawn of each class.
    """
    table = Table("place", title="posts of each class")
    for heading in (*counts, *(("smaller",) if len(counts) > 1 else ()), "drawn"):
        table.add_column(heading.replace("_", " "), justify="right")
    places = ranked(*counts.values())
    shown = max(SHOWN, len(drawn))
    for place in places[:shown]:
        of_place = [each.get(place, 0) for each in counts.values()]
        smaller = [min(of_place)] if len(of_place) > 1 else []
        table.add_row(place, *(str(number) for number in of_place + smaller), str(drawn.get(place, "")))
    if len(places) > shown:
        table.caption = f"… and {len(places) - shown} more in counts.csv"
    Console().print(table)


def write(folder: Path, counts: Mapping[str, Mapping[str, int]], drawn: Mapping[str, int]) -> None:
    """Write ``counts.csv`` (every class) and ``counts.png``.

    Raises:
        CommandError: the folder cannot be written.
    """
    rows = (
        [place, *(each.get(place, 0) for each in counts.values()), drawn.get(place, 0)]
        for place in ranked(*counts.values())
    )
    files.write(folder / "counts.csv", files.table(["place", *counts, "drawn"], rows))
    files.write(folder / "counts.png", chart(counts, drawn))


def chart(counts: Mapping[str, Mapping[str, int]], drawn: Collection[str]) -> bytes:
    """Bars of every count for the most frequent classes, as PNG; those drawn from are in bold."""
    places = ranked(*counts.values())[: max(SHOWN, len(drawn))]
    height = 0.8 / len(counts)
    figure = Figure(figsize=(8, 1.2 + 0.3 * len(places)), layout="constrained")
    axes = figure.subplots()
    for number, (who, of_places) in enumerate(counts.items()):
        at = [row + height * (number - (len(counts) - 1) / 2) for row in range(len(places))]
        values = [of_places.get(place, 0) for place in places]
        axes.barh(at, values, height, label=plain(who.replace("_", " ")), color=OKABE_ITO[number])
    axes.set_yticks(range(len(places)), [plain(place) for place in places])
    for label, place in zip(axes.get_yticklabels(), places, strict=True):
        label.set_fontweight("bold" if place in drawn else "normal")
    axes.margins(y=0.01)
    axes.invert_yaxis()
    axes.set_xlabel("posts")
    axes.set_title("Posts of each class (bold: drawn from)")
    axes.legend(frameon=False)
    return png(figure)


def named(places: Sequence[str], limit: int = 5) -> str:
    """Some places in one line."""
    return ", ".join(places[:limit]) + (f" and {len(places) - limit} more" if len(places) > limit else "")
