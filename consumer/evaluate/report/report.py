"""The command `report`: what `curves` computed, as one HTML page with figures, tables and galleries.

It computes nothing but the captions saved; figures are drawn in `plots.py`, posts for the gallery chosen in `fates.py`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import Field, field_validator
from pydantic_settings import CliPositionalArg

from consumer.evaluate.curves.compare import COMPARED
from consumer.evaluate.curves.curves import SUMMARY
from consumer.evaluate.curves.curves import VERSION as CURVES_VERSION
from consumer.evaluate.curves.savings import savings
from consumer.evaluate.marks.gallery import shown
from consumer.evaluate.marks.truth import Truth, check_fit, truth_of
from consumer.evaluate.pages import page
from consumer.evaluate.pages.files import table, write
from consumer.evaluate.report.fates import Fates, fates
from consumer.evaluate.samples.folder import Sample
from consumer.evaluate.scores import decide
from consumer.evaluate.scores.folder import Scores
from consumer.evaluate.stats.measure import Measure, as_computed, as_written
from producer.base.errors import CommandError, UsageError
from producer.base.settings import load

TABLES = ("curves", "top1", "coverage", "risk", "reliability", "denoising", "dilution", "threshold_choice")
TEXTS = ("measure", "scale", "ensemble", "group", "stratum", "weighting", "cluster", "wanted", "one", "other")
"""Columns of text: an empty field is an empty text there, and no missing number."""
CLASSES = 20
"""Classes in table and figure, at most."""
THUMBNAIL = 170
"""Longest side of a picture in the gallery, in pixels."""
DRAWN_PACKAGES = ("matplotlib", "jinja2", "pillow")


class ReportSettings(page.PageSettings):
    """Write figures, tables and galleries as one HTML page that needs nothing else.

    Reads the folder of `evaluate curves`, the sample and its marks, and for the gallery the pictures of the dataset.
    Writes the page, and the figures as PNG and the tables as CSV in a folder beside it.
    """

    curves: CliPositionalArg[Path] = Field(description="folder of evaluate curves")
    sample: Path = Field(description="sample folder that the curves are of")
    marks: Path | None = Field(None, description="its filled sheet (default: the one the curves were computed from)")
    compare: list[Path] = Field([], description="CSV of evaluate compare -o to show as well; may be repeated")
    scores: Path | None = Field(None, description="where the score folder is now (default: where curves read it)")
    dataset: Path | None = Field(None, description="where the pictures are now (default: where they were scored)")
    pictures: bool = Field(True, description="show the gallery; --no-pictures makes a page without anybody's pictures")
    ensemble: str = Field("conditional:0.8,0.8:0.6", description="whose labels the gallery shows, as for curves")
    threshold: float | None = Field(
        None, ge=0, le=1, description="normalised threshold of gallery and tables (default: the encoder's own)"
    )
    per_column: int = Field(6, ge=1, le=100, description="pictures in each column of the gallery")
    classes: int = Field(10, ge=1, description="classes in the gallery, at most")

    @field_validator("ensemble")
    @classmethod
    def _ensemble_is_one(cls, text: str) -> str:
        try:
            decide.parse(text)
        except UsageError as error:
            raise ValueError(str(error)) from None
        return text


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What is reported on.

    Attributes:
        summary: curves.json.
        tables: the tables beside it.
        threshold: normalised; what the worker would use.
    """

    summary: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    sample: Sample
    scores: Scores
    truth: Truth
    threshold: float

    @property
    def measure(self) -> Measure:
        """Accuracy or agreement; never one under the other's name."""
        return self.truth.measure


def main(argv: list[str]) -> int:
    """Run `report`.

    Args:
        argv: flags of `ReportSettings`.

    Raises:
        CommandError: curves, sample, marks, scores and dataset do not fit together, or the page cannot be written.
    """
    settings = load(ReportSettings, "python -m consumer evaluate report", argv)
    found = read(settings)
    saved = savings(found.scores.parts(), found.scores.info)
    columns = _columns(settings, found) if settings.pictures else []
    thumbnails = _thumbnails(settings, found, columns)
    compared = [row for path in settings.compare for row in _compared(path)]
    figures = _figures(found)
    for name, png in figures.items():
        write(settings.folder / f"{name}.png", png)
    files = {
        f"{name}.csv": as_written(table, found.measure).to_csv(index=False) for name, table in found.tables.items()
    }
    files["captions_saved.csv"] = table(("gate", "posts", "captions", "saved"), map(astuple, saved))
    for name, text in files.items():
        write(settings.folder / name, text)
    write(
        settings.output,
        page.render(
            "report.html.j2",
            ("report.css",),
            found=found,
            summary=found.summary,
            settings=settings,
            tables=_shown(found),
            computed_at=computed_at(found),
            figures={name: page.data_uri(png) for name, png in figures.items()},
            saved=saved,
            gallery=columns,
            thumbnails=thumbnails,
            ensemble=decide.parse(settings.ensemble).name,
            compared=compared,
            packages=found.summary["packages"] | {name: version(name) for name in DRAWN_PACKAGES},
            files=sorted([*files, *(f"{name}.png" for name in figures)]),
        ),
    )
    print(f"{settings.output}: {found.measure} on {len(found.sample.posts):,} posts, {len(figures)} figures")
    return 0


def read(settings: ReportSettings) -> Found:
    """Everything that is reported on, held against each other.

    Raises:
        CommandError: something is missing, or is of another sample, model or measure.
    """
    summary = _summary(settings.curves)
    sample = Sample.open(settings.sample)
    if summary["sample"]["sha256"] != sample.sha256:
        raise CommandError(f"{settings.curves} are the curves of another sample than {settings.sample}")
    scores = Scores.open(settings.scores or Path(summary["settings"]["scores"]))
    if (scores.info.encoder, scores.info.places) != (summary["encoder"], summary["places"]):
        raise CommandError(
            f"{settings.curves} are of {summary['encoder']} with {summary['places']}, {scores.folder} is of "
            f"{scores.info.encoder} with {scores.info.places}"
        )
    check_fit(scores.folder, scores.info, sample)
    marks = settings.marks
    if marks is None and summary["settings"]["marks"]:
        marks = Path(summary["settings"]["marks"])
    truth = truth_of(sample, marks, True, scores.info.categories)
    if truth.measure != summary["measure"]:
        raise CommandError(f"{settings.curves} show {summary['measure']}, but --marks would show {truth.measure}")
    if truth.marks_sha256 != summary["marks"].get("sha256"):
        raise CommandError(
            f"{marks} is not as it was when {settings.curves} was computed from it: run evaluate curves again, or give "
            "the sheet as it was (--marks)"
        )
    tables = {name: as_computed(_table(settings.curves / f"{name}.csv"), truth.measure) for name in TABLES}
    threshold = scores.info.threshold if settings.threshold is None else settings.threshold
    return Found(summary, tables, sample, scores, truth, threshold)


def _summary(folder: Path) -> dict[str, Any]:
    path = folder / SUMMARY
    try:
        summary: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if summary["version"] != CURVES_VERSION:
            raise CommandError(
                f"{path} is of version {summary['version']}; this program reads {CURVES_VERSION}: compute them again"
            )
    except FileNotFoundError:
        raise CommandError(f"{folder} holds no curves (no {SUMMARY}): evaluate curves writes them") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandError(f"{path} cannot be read: {error!r}") from None
    return summary


def _table(path: Path, by: str = "evaluate curves") -> pd.DataFrame:
    try:
        table = pd.read_csv(path, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} cannot be read: {error}; run {by} again") from None
    texts = [column for column in TEXTS if column in table]
    return table.astype(dict.fromkeys(texts, object)).fillna(dict.fromkeys(texts, ""))


def _columns(settings: ReportSettings, found: Found) -> list[Fates]:
    ensemble = decide.parse(settings.ensemble)
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


def _figures(found: Found) -> dict[str, bytes]:
    from consumer.evaluate.report import plots

    tables, measure = found.tables, found.measure
    usual = found.summary["weightings"][0]

    def by_ensemble(kind: str, value: str, **wanted: str) -> dict[str, float]:
        rows = (each for each in found.summary[kind] if each["weighting"] == usual)
        return {each["ensemble"]: each[value] for each in rows if all(each[key] == wanted[key] for key in wanted)}

    drawn = {
        "thresholds_raw": plots.thresholds(tables["curves"], "raw", measure),
        "thresholds_normalised": plots.thresholds(tables["curves"], "normalised", measure),
        "equal_coverage": plots.equal_coverage(tables["coverage"], measure),
        "counts_raw": plots.counts(tables["curves"], "raw"),
        "counts_normalised": plots.counts(tables["curves"], "normalised"),
        "classes": plots.classes(most_frequent(tables["top1"]), measure),
        "risk": plots.risk(tables["coverage"], tables["risk"]),
        "reliability": plots.reliability(tables["reliability"], by_ensemble("ece", "ece", group="all"), measure),
        "denoising": plots.denoising(
            tables["denoising"], "normalised", by_ensemble("auroc", "auroc", scale="normalised")
        ),
        "dilution": plots.dilution(tables["dilution"]),
    }
    return {name: png for name, png in drawn.items() if png is not None}


def _shown(found: Found) -> dict[str, list[dict[str, Any]]]:
    """The rows of the page's tables."""
    tables = found.tables
    top1, curves = tables["top1"], tables["curves"]
    normalised = curves[(curves["scale"] == "normalised") & (curves["stratum"] == "")]
    usual = found.summary["weightings"][0]
    every = (top1["stratum"] == "") & (top1["weighting"] == usual)
    of_risk = tables["risk"][(tables["risk"]["group"] == "all") & (tables["risk"]["weighting"] == usual)]
    errors = _by_ensemble(found.summary["ece"], usual, group="all")
    areas = _by_ensemble(found.summary["auroc"], usual, scale="normalised")
    chosen = {
        "top1": top1[(top1["stratum"] == "") & (top1["group"] == "all")],
        "captions": top1[every & (top1["group"] != "all")],
        "at_threshold": normalised[
            (normalised["threshold"] == computed_at(found))
            & (normalised["group"] == "all")
            & (normalised["weighting"] == usual)
        ],
        "classes": most_frequent(top1)[lambda rows: (rows["group"] == "all") & rows["ensemble"].isin(decide.TALKED_OF)],
        "threshold_choice": tables["threshold_choice"],
        "dilution": tables["dilution"][tables["dilution"]["cluster"] == ""],
    }
    rows = {name: table.to_dict("records") for name, table in chosen.items()}
    rows["confidence"] = [
        row | {"calibration": errors.get(row["ensemble"]), "separation": areas.get(row["ensemble"])}
        for row in of_risk.to_dict("records")
    ]
    return rows


def most_frequent(top1: pd.DataFrame) -> pd.DataFrame:
    """The rows of single classes, class by class, of those with most posts; top1.csv has the rest."""
    classes = [stratum for stratum in dict.fromkeys(top1["stratum"]) if stratum][:CLASSES]
    rows = top1[top1["stratum"].isin(classes)]
    return rows.sort_values("stratum", key=lambda strata: strata.map(classes.index), kind="stable")


def computed_at(found: Found) -> float:
    """The threshold of the curves that is nearest to the report's: the very same if `curves` had it, too."""
    curves = found.tables["curves"]
    grid = curves.loc[curves["scale"] == "normalised", "threshold"].unique()
    return float(min(grid, key=lambda threshold: abs(threshold - found.threshold)))


def _by_ensemble(rows: Sequence[Mapping[str, Any]], weighting: str, **wanted: str) -> dict[str, Mapping[str, Any]]:
    return {
        each["ensemble"]: each
        for each in rows
        if each["weighting"] == weighting and all(each[key] == value for key, value in wanted.items())
    }


def _compared(path: Path) -> list[dict[str, Any]]:
    """The rows that `compare` wrote.

    Raises:
        CommandError: it did not write this.
    """
    table = _table(path, "evaluate compare -o")
    if missing := [column for column in COMPARED if column not in table]:
        raise CommandError(f"--compare {path}: no column {', '.join(missing)}: evaluate compare -o writes such a CSV")
    rows: list[dict[str, Any]] = table.to_dict("records")
    return rows
