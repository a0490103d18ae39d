"""What a report is about: curves, sample, scores and marks, read and held against each other."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pandas as pd

from consumer.evaluate.curves.curves import SUMMARY, VERSION
from consumer.evaluate.marks.truth import Truth, check_fit, truth_of
from consumer.evaluate.samples.folder import Sample
from consumer.evaluate.scores.folder import Scores
from consumer.evaluate.stats.measure import Measure, as_computed
from producer.base.errors import CommandError

TABLES = ("curves", "top1", "coverage", "risk", "reliability", "denoising", "dilution", "broader", "threshold_choice")
TEXTS = ("measure", "scale", "ensemble", "group", "stratum", "weighting", "cluster", "level", "wanted", "one", "other")
"""Columns of text: an empty field is an empty text there, and no missing number."""
CLASSES = 20
"""Classes in table and figure, at most."""


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

    @classmethod
    def read(
        cls, curves: Path, sample_folder: Path, scores_folder: Path | None, marks: Path | None, threshold: float | None
    ) -> Self:
        """Read everything; scores, marks and threshold are by default those that the curves were computed from.

        Raises:
            CommandError: something is missing, or is of another sample, model or measure.
        """
        summary = _summary(curves)
        sample = Sample.open(sample_folder)
        if summary["sample"]["sha256"] != sample.sha256:
            raise CommandError(f"{curves} are the curves of another sample than {sample_folder}")
        places = summary["settings"]["places"]
        scores = Scores.open(scores_folder or Path(summary["settings"]["scores"]))
        scores = scores.with_places(Path(places) if places else None)
        info = scores.info
        if (info.encoder, info.places) != (summary["encoder"], summary["places"]):
            raise CommandError(
                f"{curves} are of {summary['encoder']} with {summary['places']}, {scores.folder} is of "
                f"{info.encoder} with {info.places}"
            )
        check_fit(scores.folder, info, sample)
        if marks is None and summary["settings"]["marks"]:
            marks = Path(summary["settings"]["marks"])
        truth = truth_of(sample, marks, True, info.categories)
        if truth.measure != summary["measure"]:
            raise CommandError(f"{curves} show {summary['measure']}, but --marks would show {truth.measure}")
        if truth.marks_sha256 != summary["marks"].get("sha256"):
            raise CommandError(
                f"{marks} is not as it was when {curves} was computed from it: run evaluate curves again, or give "
                "the sheet as it was (--marks)"
            )
        tables = {name: as_computed(read_table(curves / f"{name}.csv"), truth.measure) for name in TABLES}
        return cls(summary, tables, sample, scores, truth, info.threshold if threshold is None else threshold)

    @property
    def measure(self) -> Measure:
        """Accuracy or agreement; never one under the other's name."""
        return self.truth.measure

    @property
    def computed_at(self) -> float:
        """The threshold of the curves that is nearest to the report's: the very same if `curves` had it, too."""
        curves = self.tables["curves"]
        grid = curves.loc[curves["scale"] == "normalised", "threshold"].unique()
        return float(min(grid, key=lambda threshold: abs(threshold - self.threshold)))

    @property
    def classes(self) -> pd.DataFrame:
        """The rows of top1 of single classes, class by class, of those with most posts; top1.csv has the rest."""
        top1 = self.tables["top1"]
        classes = [stratum for stratum in dict.fromkeys(top1["stratum"]) if stratum][:CLASSES]
        rows = top1[top1["stratum"].isin(classes) & (top1["group"] == "all")]
        return rows.sort_values("stratum", key=lambda strata: strata.map(classes.index), kind="stable")

    def by_ensemble(self, figure: str, **wanted: str) -> dict[str, Mapping[str, Any]]:
        """What curves.json has of each ensemble, as it is usually weighted: ``ece`` or ``auroc``."""
        wanted |= {"weighting": self.summary["weightings"][0]}
        return {
            each["ensemble"]: each
            for each in self.summary[figure]
            if all(each[key] == value for key, value in wanted.items())
        }


def read_table(path: Path, by: str = "evaluate curves") -> pd.DataFrame:
    """A table as one of our commands wrote it.

    Raises:
        CommandError: it cannot be read.
    """
    try:
        table = pd.read_csv(path, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} cannot be read: {error}; run {by} again") from None
    texts = [column for column in TEXTS if column in table]
    return table.astype(dict.fromkeys(texts, object)).fillna(dict.fromkeys(texts, ""))


def _summary(folder: Path) -> dict[str, Any]:
    path = folder / SUMMARY
    try:
        summary: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if summary["version"] != VERSION:
            raise CommandError(
                f"{path} is of version {summary['version']}; this program reads {VERSION}: compute them again"
            )
    except FileNotFoundError:
        raise CommandError(f"{folder} holds no curves (no {SUMMARY}): evaluate curves writes them") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandError(f"{path} cannot be read: {error!r}") from None
    return summary
