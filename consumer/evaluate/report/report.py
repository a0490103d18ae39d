"""The command `report`: what `curves` computed, as one HTML page with figures, tables and galleries.

It computes nothing but the captions saved and the moods (`moods.py`); figures are drawn in `plots.py`, posts for the
gallery chosen in `fates.py`.
"""

from collections.abc import Sequence
from dataclasses import astuple
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field
from pydantic_settings import CliPositionalArg

from consumer.classify.decision import BROADER
from consumer.evaluate.curves.compare import COMPARED
from consumer.evaluate.curves.headline import headline
from consumer.evaluate.curves.savings import savings
from consumer.evaluate.marks.gallery import captions, shown
from consumer.evaluate.marks.marks import MOODS
from consumer.evaluate.pages import page
from consumer.evaluate.pages.files import table, write
from consumer.evaluate.report.fates import Fates, fates
from consumer.evaluate.report.found import Found, read_table
from consumer.evaluate.report.moods import Moods, moods
from consumer.evaluate.report.plots import drawn
from consumer.evaluate.scores.decide import TALKED_OF, EnsembleFlag, parse
from consumer.evaluate.stats.intervals import Strata
from consumer.evaluate.stats.measure import as_written
from producer.base.errors import CommandError
from producer.base.settings import load

THUMBNAIL = 170
"""Longest side of a picture in the gallery, in pixels."""
DRAWN_PACKAGES = ("matplotlib", "jinja2", "pillow")


class ReportSettings(page.PageSettings):
    """Write figures, tables and galleries as one HTML page that needs nothing else.

    Reads the folder of `evaluate curves`, the sample and its marks, and for the gallery the pictures of the dataset.
    Writes the page, and the figures as PNG and the tables as CSV in a folder beside it.
    """

    curves: CliPositionalArg[Path] = Field(description="folder of evaluate curves")
    sample: Path = Field(description="the marked sample folder")
    marks: Path | None = Field(None, description="the filled sheet (default: that of the curves)")
    compare: list[Path] = Field([], description="CSV of compare to show as well; may be repeated")
    scores: Path | None = Field(None, description="the score folder, if moved")
    dataset: Path | None = Field(None, description="the pictures, if moved")
    pictures: bool = Field(True, description="show the gallery; off with --no-pictures")
    ensemble: EnsembleFlag = Field("conditional:0.8,0.8:0.6", description="whose labels the gallery shows")
    threshold: float | None = Field(
        None, ge=0, le=1, description="normalised threshold of the tables (default: the encoder's)"
    )
    per_column: int = Field(6, ge=1, le=100, description="pictures in a column of the gallery")
    classes: int = Field(10, ge=1, description="most frequent classes, at most")


def main(argv: list[str]) -> int:
    """Run `report`.

    Args:
        argv: flags of `ReportSettings`.

    Raises:
        CommandError: curves, sample, marks, scores and dataset do not fit together, or the page cannot be written.
    """
    settings = load(ReportSettings, "python -m consumer evaluate report", argv)
    found = Found.read(settings.curves, settings.sample, settings.scores, settings.marks, settings.threshold)
    saved = savings(found.scores.parts(), found.scores.info)
    columns = _columns(settings, found) if settings.pictures else []
    thumbnails = _thumbnails(settings, found, columns)
    compared = [row for path in settings.compare for row in _compared(path)]
    figures = list(drawn(found))
    for plot, png in figures:
        write(settings.folder / f"{plot.name}.png", png)
    files = {
        f"{name}.csv": as_written(table, found.measure).to_csv(index=False) for name, table in found.tables.items()
    }
    files["captions_saved.csv"] = table(("gate", "posts", "captions", "saved"), map(astuple, saved))
    marked = _moods(settings, found)
    if marked is not None:
        files["moods.csv"] = table(
            ("by_person", "by_vader", "captions"),
            ((one, other, marked.counts.get((one, other), 0)) for one in MOODS for other in MOODS),
        )
    for name, text in files.items():
        write(settings.folder / name, text)
    write(
        settings.output,
        page.render(
            "report.html.j2",
            ("report.css",),
            found=found,
            summary=found.summary,
            headline=headline(found.tables["curves"], found.measure, found.computed_at, found.sample.kind == "c"),
            too_few=Strata.from_sample(found.sample).too_few,
            settings=settings,
            tables=_shown(found),
            figures=[(plot, page.data_uri(png)) for plot, png in figures],
            saved=saved,
            moods=marked,
            MOODS=MOODS,
            gallery=columns,
            thumbnails=thumbnails,
            ensemble=parse(settings.ensemble).name,
            compared=compared,
            packages=found.summary["packages"] | {name: version(name) for name in DRAWN_PACKAGES},
            files=sorted([*files, *(f"{plot.name}.png" for plot, _ in figures)]),
        ),
    )
    print(f"{settings.output}: {found.measure} on {len(found.sample.posts):,} posts, {len(figures)} figures")
    return 0


def _moods(settings: ReportSettings, found: Found) -> Moods | None:
    """VADER against the marked moods; None where none is marked."""
    asked = [post for post in found.truth.posts if post.mood is not None]
    if not asked:
        return None
    of_posts = captions(settings.dataset or found.sample.dataset, [post.post_id for post in asked])
    return moods(asked, of_posts, found.sample.seed)


def _columns(settings: ReportSettings, found: Found) -> list[Fates]:
    ensemble = parse(settings.ensemble)
    most, classes = settings.per_column, settings.classes
    return list(fates(found.sample, found.scores, found.truth, ensemble, found.threshold, most, classes))


def _thumbnails(settings: ReportSettings, found: Found, columns: Sequence[Fates]) -> dict[str, str]:
    """Post -> its picture."""
    posts = [
        post.post_id
        for each in columns
        for column in (each.correct, each.incorrect, each.not_classified)
        for post in column.posts
    ]
    pictures = shown(settings.dataset or found.sample.dataset, posts, THUMBNAIL, quality=78) if posts else ()
    return {picture.post_id: page.data_uri(picture.jpeg, "image/jpeg") for picture in pictures}


def _shown(found: Found) -> dict[str, list[dict[str, Any]]]:
    """The rows of the page's tables."""
    tables = found.tables
    top1, curves, broader = tables["top1"], tables["curves"], tables["broader"]
    normalised = curves[(curves["scale"] == "normalised") & (curves["stratum"] == "")]
    usual = found.summary["weightings"][0]
    every = (top1["stratum"] == "") & (top1["weighting"] == usual)
    of_risk = tables["risk"][(tables["risk"]["group"] == "all") & (tables["risk"]["weighting"] == usual)]
    errors, areas = found.by_ensemble("ece", group="all"), found.by_ensemble("auroc", scale="normalised")
    chosen = {
        "top1": top1[(top1["stratum"] == "") & (top1["group"] == "all")],
        "captions": top1[every & (top1["group"] != "all")],
        "at_threshold": normalised[
            (normalised["threshold"] == found.computed_at)
            & (normalised["group"] == "all")
            & (normalised["weighting"] == usual)
        ],
        "classes": found.classes[lambda rows: rows["ensemble"].isin(TALKED_OF)],
        "threshold_choice": tables["threshold_choice"],
        "dilution": tables["dilution"][tables["dilution"]["cluster"] == ""],
        "broader": broader[
            (broader["broader_threshold"] == np.maximum(BROADER, broader["threshold"]))
            & (broader["weighting"] == usual)
        ],
    }
    rows = {name: table.to_dict("records") for name, table in chosen.items()}
    rows["confidence"] = [
        row | {"calibration": errors.get(row["ensemble"]), "separation": areas.get(row["ensemble"])}
        for row in of_risk.to_dict("records")
    ]
    return rows


def _compared(path: Path) -> list[dict[str, Any]]:
    """The rows that `compare` wrote.

    Raises:
        CommandError: it did not write this.
    """
    table = read_table(path, "evaluate compare -o")
    if missing := [column for column in COMPARED if column not in table]:
        raise CommandError(f"--compare {path}: no column {', '.join(missing)}: evaluate compare -o writes such a CSV")
    rows: list[dict[str, Any]] = table.to_dict("records")
    return rows
