"""The command `curves`: every table of the evaluation, from scores, a sample and its marks. No model is needed.

The columns of each file are documented where they are computed: `thresholds.CURVES`, `TOP1` and `CHOICE`,
`risk.COVERAGE` and `RISK`, `calibration.RELIABILITY`, `denoising.DENOISING`, `dilution.DILUTION`, `broader.BROADER`.
"""

import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import AliasChoices, Field
from pydantic_core import to_json
from pydantic_settings import CliPositionalArg

from consumer import __version__
from consumer.classify.decision import BROADER
from consumer.evaluate.curves import broader, findings, thresholds
from consumer.evaluate.curves.calibration import Calibration, reliability
from consumer.evaluate.curves.denoising import Separation, denoising
from consumer.evaluate.curves.dilution import dilution
from consumer.evaluate.curves.findings import Finding
from consumer.evaluate.curves.headline import headline
from consumer.evaluate.curves.risk import coverage_table, risk_table
from consumer.evaluate.curves.thresholds import Wish
from consumer.evaluate.marks.truth import Judged, Scale, Truth, check_fit, truth_of, was_pooled
from consumer.evaluate.pages.files import write
from consumer.evaluate.samples.folder import Sample
from consumer.evaluate.scores.decide import BOTH, ENSEMBLES, Ensemble, FurtherEnsembles, decidable, proposed_by
from consumer.evaluate.scores.folder import Scores
from consumer.evaluate.scores.parts import ScorePart
from consumer.evaluate.scores.progress import progress
from consumer.evaluate.stats.intervals import Bootstrap, Strata
from consumer.evaluate.stats.measure import as_written
from producer.base.errors import CommandError
from producer.base.settings import load

VERSION = 4
SUMMARY = "curves.json"
TALK_TOP = 1.6
"""Where the axis of raw scores ends: the talk's 0.8 + 0.8."""
COVERAGES = np.round(np.arange(0.02, 1.001, 0.02), 2)


class CurvesSettings(FurtherEnsembles):
    """Compute accuracy, coverage, calibration and denoising of every ensemble, and whether the talk's findings hold.

    Reads a score folder, a sample of the same posts and the filled sheet (without one, a sample-a is judged by its
    pre-labels; that is called agreement, not accuracy). Writes curves.csv, top1.csv, coverage.csv, risk.csv,
    reliability.csv, denoising.csv, dilution.csv, broader.csv, threshold_choice.csv and curves.json, for `report`.
    """

    scores: CliPositionalArg[Path] = Field(description="score folder (of evaluate score)")
    sample: CliPositionalArg[Path] = Field(description="sample folder (of evaluate sample-a, sample-b or sample-c)")
    marks: Path | None = Field(None, description="the filled sheet (default: a sample-a's pre-labels)")
    places: Path | None = Field(None, description="score with this label set (default: the folder's)")
    allow_unmarked: bool = Field(False, description="accept posts that nobody marked")
    text_threshold: float = Field(
        0.3, ge=0, le=1, description="confidence a caption needs, in the ensemble that asks for one"
    )
    threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        description="normalised threshold of the tables (default: the encoder's)",
    )
    step: float = Field(0.02, gt=0, le=0.2, description="distance between thresholds")
    accuracy: float | None = Field(
        None, gt=0, le=1, description="choose a threshold for this accuracy (pre-labels: agreement)"
    )
    coverage: float | None = Field(
        None, gt=0, le=1, description="choose a threshold that classifies this share of posts"
    )
    rounds: int = Field(1_000, ge=100, description="rounds of the bootstrap")
    seed: int = Field(205, ge=0, description="of random choices")
    output: Path = Field(
        validation_alias=AliasChoices("output", "o"), description="folder to write: new, or of an earlier run"
    )

    def all_ensembles(self) -> tuple[Ensemble, ...]:
        """Those of the talk, one whose caption must be sure, and the further ones; each name once."""
        return self.with_further(*ENSEMBLES, replace(BOTH, text_threshold=self.text_threshold))

    def threshold_of(self, scores: Scores) -> float:
        """The normalised threshold of the tables."""
        return scores.info.threshold if self.threshold is None else self.threshold

    def wishes(self) -> list[Wish]:
        """What thresholds are to be chosen for."""
        wanted = [Wish("accuracy", self.accuracy)] if self.accuracy is not None else []
        return wanted + ([Wish("coverage", self.coverage)] if self.coverage is not None else [])


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Everything that `curves` writes.

    Attributes:
        tables: file name without .csv -> its rows.
        calibration: expected calibration errors.
        separation: AUROCs of denoising.
        findings: the verdicts.
    """

    tables: dict[str, pd.DataFrame]
    calibration: list[Calibration]
    separation: list[Separation]
    findings: list[Finding]


def main(argv: list[str]) -> int:
    """Run `curves`.

    Args:
        argv: flags of `CurvesSettings`.

    Raises:
        CommandError: scores, sample and marks do not fit together, or the folder cannot be written.
    """
    settings = load(CurvesSettings, "python -m consumer evaluate curves", argv)
    scores = Scores.open(settings.scores).with_places(settings.places)
    sample = Sample.open(settings.sample)
    check_fit(settings.scores, scores.info, sample)
    truth = truth_of(sample, settings.marks, settings.allow_unmarked, scores.info.categories)
    _check_free(settings.output)
    part = scores.of([post.post_id for post in sample.posts])
    chosen, left_out = decidable(settings.all_ensembles(), part, scores.info)
    if left_out:
        print(f"warning: ensembles are left out: {left_out}", file=sys.stderr)
    if (warning := not_proposed(scores, truth, chosen)) is not None:
        print(f"warning: {warning}", file=sys.stderr)
    if (warning := Strata.from_sample(sample).too_few) is not None:
        print(f"warning: {warning}", file=sys.stderr)
    curves = compute(settings, scores, sample, truth, part, chosen)
    for name, table in curves.tables.items():
        write(settings.output / f"{name}.csv", as_written(table, truth.measure).round(6).to_csv(index=False))
    described = summary(settings, scores, sample, truth, curves, chosen, left_out)
    write(settings.output / SUMMARY, to_json(described, indent=1, inf_nan_mode="null") + b"\n")
    print(
        f"{settings.output}: {truth.measure} of {len(curves.tables['risk']['ensemble'].unique())} ensembles on "
        f"{len(sample.posts):,} posts"
    )
    if said := headline(curves.tables["curves"], truth.measure, settings.threshold_of(scores), sample.kind == "c"):
        print(said)
    for finding in curves.findings:
        print(f"on your data, by {truth.measure}, '{finding.claim}': {finding.verdict}")
    return 0


def compute(
    settings: CurvesSettings,
    scores: Scores,
    sample: Sample,
    truth: Truth,
    part: ScorePart,
    chosen: tuple[Ensemble, ...],
) -> Curves:
    """Every table; nothing is written.

    Args:
        settings: as given.
        scores: of all posts.
        sample: of them.
        truth: about the sample.
        part: the scores of the sample.
        chosen: the ensembles, all of which can decide it.
    """
    strata = Strata.from_sample(sample)
    bootstrap = Bootstrap.within(strata, settings.rounds, settings.seed)
    answers = [Judged.of(ensemble, part, scores.info, truth) for ensemble in chosen]
    least = settings.threshold_of(scores)
    groups, grids = groups_of(part), _grids(settings.step, chosen, least)
    measure = truth.measure
    classes = None if strata.names else thresholds.by_picture(part, scores.info)
    curves = thresholds.table(answers, strata, bootstrap, measure, groups, grids, classes)
    diagrams, errors = reliability(answers, strata, bootstrap, measure, groups)
    denoised, separation = denoising(answers, truth.posts, strata, bootstrap, grids)
    tables = {
        "curves": curves,
        "top1": thresholds.without_threshold(curves),
        "coverage": coverage_table(answers, strata, bootstrap, measure, groups, COVERAGES),
        "risk": risk_table(answers, strata, bootstrap, measure, groups),
        "reliability": diagrams,
        "denoising": denoised,
        "dilution": dilution(_watched(scores), scores.info, chosen, least),
        "broader": broader.table(
            chosen, part, scores.info, truth, strata, bootstrap, measure, least, grids["normalised"]
        ),
        "threshold_choice": thresholds.choices(
            answers, strata, part.post_ids, bootstrap, measure, settings.wishes(), settings.seed
        ),
    }
    return Curves(tables, errors, separation, findings.findings(answers, strata, bootstrap, measure))


def not_proposed(scores: Scores, truth: Truth, chosen: Sequence[Ensemble]) -> str | None:
    """What to say when a sheet did not propose all these labels; None when it did, or asked another question."""
    if not truth.pooled:
        return None
    of = [each.name for each in chosen if not proposed_by(each, truth.ensembles)]
    if not was_pooled(scores.info, truth):
        of = [f"{scores.info.encoder} with {scores.info.places}", *of]
    return (
        f"the sheet did not propose the labels of {', '.join(of)}: what nobody judged widens the bounds" if of else None
    )


def groups_of(part: ScorePart) -> dict[str, NDArray[np.bool_]]:
    """All posts, those with a caption and those without; a group without posts is left out."""
    every = np.ones(len(part), np.bool_)
    groups = {"all": every, "with_caption": part.has_caption, "without_caption": ~part.has_caption}
    return {name: inside for name, inside in groups.items() if inside.any()}


def summary(
    settings: CurvesSettings,
    scores: Scores,
    sample: Sample,
    truth: Truth,
    curves: Curves,
    chosen: Sequence[Ensemble],
    left_out: str,
) -> dict[str, Any]:
    """What stands in curves.json: all that one must know to repeat and to read the tables.

    ``ece`` and ``auroc`` are lists of `Calibration` and `Separation`, ``findings`` of `Finding`; ``weightings`` names
    those in the tables, the one to show first first. ``left_out`` says which ensembles cannot decide the sample.
    """
    info = scores.info
    return {
        "version": VERSION,
        "measure": truth.measure,
        "settings": settings.model_dump(mode="json") | _places_of(settings),
        "seed": settings.seed,
        "rounds": settings.rounds,
        "encoder": info.encoder,
        "places": info.places,
        "ids_sha256": info.ids_sha256,
        "dataset": str(info.dataset),
        "posts": info.posts,
        "threshold": info.threshold,
        "sample": {
            "folder": str(sample.folder),
            "kind": sample.kind,
            "seed": sample.seed,
            "sha256": sample.sha256,
            "encoder": sample.encoder,
            "places": sample.places,
            "posts": len(sample.posts),
            "strata": sample.strata,
            "prelabelled_by": sample.prelabelled_by,
        },
        "marks": {
            "sha256": truth.marks_sha256,
            "pooled": truth.pooled,
            "ensembles": truth.ensembles,
            "unmarked": truth.unmarked,
            "no_place": sum(post.no_place for post in truth.posts),
            "cannot_tell": sum(post.cannot_tell for post in truth.posts),
        },
        "ensembles": [{"name": each.name} | asdict(each) for each in chosen],
        "left_out": left_out,
        "groups": list(curves.tables["risk"]["group"].unique()),
        "weightings": Strata.from_sample(sample).weightings,
        "ece": curves.calibration,
        "auroc": curves.separation,
        "findings": curves.findings,
        "packages": packages(),
    }


def packages() -> dict[str, str]:
    """What computed the numbers."""
    names = ("numpy", "pandas", "scipy", "scikit-learn", "statsmodels")
    return {"placestream": __version__, "python": platform.python_version()} | {name: version(name) for name in names}


def _places_of(settings: CurvesSettings) -> dict[str, str | None]:
    """Where everything is, so that it is found from any folder."""
    names = ("scores", "sample", "marks", "places", "output")
    paths: dict[str, Path | None] = {name: getattr(settings, name) for name in names}
    return {name: None if path is None else str(path.resolve()) for name, path in paths.items()}


def _grids(step: float, chosen: tuple[Ensemble, ...], least: float) -> dict[Scale, NDArray[np.float64]]:
    """Raw thresholds up to the talk's 1.6, or as far as some ensemble's weights reach; normalised ones up to 1.

    The normalised threshold of the tables, ``least``, is among the latter, whatever the step, and so is that of groups.
    """
    return {
        "raw": thresholds.grid(max(TALK_TOP, *(ensemble.most for ensemble in chosen)), step),
        "normalised": np.union1d(thresholds.grid(1.0, step), np.round([least, BROADER], 10)),
    }


def _watched(scores: Scores) -> Iterator[ScorePart]:
    """The parts, and how far they are."""
    with progress("dilution", scores.info.posts) as advance:
        for part in scores.parts():
            yield part
            advance(len(part))


def _check_free(folder: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()) and not (folder / SUMMARY).is_file():
        raise CommandError(f"{folder} is not empty and holds no earlier curves: choose another folder")
