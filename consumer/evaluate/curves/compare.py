"""The command `compare`: whether one model is more often right than another, on the same marks."""

import itertools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import AliasChoices, Field
from pydantic_settings import CliPositionalArg
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from consumer.evaluate.marks.marks import model_name
from consumer.evaluate.marks.truth import RIGHT, UNJUDGED, Judged, Truth, check_fit, truth_of, was_pooled
from consumer.evaluate.pages.files import names_of, write
from consumer.evaluate.samples.folder import Sample
from consumer.evaluate.scores.decide import CONDITIONAL, Ensemble, EnsembleFlag, decidable, parse, proposed_by
from consumer.evaluate.scores.folder import Scores
from consumer.evaluate.stats.intervals import Bootstrap, Strata, effective_number, paired_interval, share
from producer.base.errors import CommandError, UsageError
from producer.base.settings import Settings, load

COMPARED = (
    "measure",
    "ensemble",
    "one",
    "other",
    "coverage",
    "posts",
    "left_out",
    "one_only",
    "other_only",
    "one_right",
    "other_right",
    "difference",
    "ci_low",
    "ci_high",
    "p",
    "p_holm",
)
"""Columns of the CSV.

``coverage`` is empty without a threshold; else each model keeps that share of the sample, its most confident posts, and
what it abstains from is not correct. ``posts`` were compared, ``left_out`` are those where a label was not judged;
``one_only`` and ``other_only`` are right by one model alone. ``p`` is the exact McNemar test's, ``p_holm`` the same
corrected over the pairs. ``one_right``, ``other_right`` and ``difference`` (one - other, with a bootstrap interval) are
shares of the compared posts, every class counting the same. To either side the interval is at least as wide as Wilson's
of none among the effective number of posts: with few discordant posts the bootstrap sees too little spread.
"""


class CompareSettings(Settings):
    """Test whether one model is more often right than another on the same marked posts, for every pair of models.

    Reads two or more score folders of the same posts (models, wordings or precisions; one with --places), a sample and
    its filled sheet, on which the labels of all of them were proposed (evaluate sheet --scores, --places). Prints exact
    McNemar tests, without a threshold and at equal coverage; -o writes them as CSV.
    """

    folders: CliPositionalArg[list[Path]] = Field(description="score folders, and the sample folder as the last")
    places: Path | None = Field(None, description="label set with which the first folder is scored as well")
    marks: Path | None = Field(None, description="the filled sheet (default: a sample-a's pre-labels)")
    allow_unmarked: bool = Field(False, description="accept posts that nobody marked")
    ensemble: EnsembleFlag = Field(
        CONDITIONAL.name, description="how they decide: a name of the curves, or as --ensemble"
    )
    coverage: float = Field(0.5, gt=0, lt=1, description="share of posts that each model classifies")
    rounds: int = Field(1_000, ge=100, description="rounds of the bootstrap")
    seed: int = Field(205, ge=0, description="of random choices")
    output: Path | None = Field(None, validation_alias=AliasChoices("output", "o"), description="CSV to write")


def main(argv: list[str]) -> int:
    """Run `compare`.

    Args:
        argv: flags of `CompareSettings`.

    Raises:
        CommandError: scores, sample and marks do not fit together, or not all models' labels were proposed.
    """
    settings = load(CompareSettings, "python -m consumer evaluate compare", argv)
    *paths, of_sample = settings.folders
    every = dict(zip(names_of(paths), map(Scores.open, paths), strict=True))
    for name, first in list(every.items())[:1]:
        if (other := first.with_places(settings.places)) is not first:
            every[f"{name} with {other.info.places}"] = other
    if len(every) < 2:
        raise UsageError(
            "two score folders and a sample folder are needed: compare A B [C…] SAMPLE --marks SHEET.csv (or one score "
            "folder, and --places with another label set)"
        )
    sample = Sample.open(of_sample)
    for scores in every.values():
        check_fit(scores.folder, scores.info, sample)
    judged, truth = judge(every, sample, settings)
    strata = Strata.from_sample(sample)
    if (warning := strata.too_few) is not None:
        print(f"warning: {warning}", file=sys.stderr)
    bootstrap = Bootstrap.within(strata, settings.rounds, settings.seed)
    post_ids = [post.post_id for post in sample.posts]
    table = compare(judged, strata, bootstrap, post_ids, settings.coverage)
    table = table.assign(measure=truth.measure, ensemble=parse(settings.ensemble).name)[list(COMPARED)]
    _print(table, truth, settings)
    if settings.output:
        write(settings.output, table.to_csv(index=False))
    return 0


def judge(every: Mapping[str, Scores], sample: Sample, settings: CompareSettings) -> tuple[dict[str, Judged], Truth]:
    """Hold each model's labels, by its name, against the truth.

    Raises:
        CommandError: the sample was drawn from the predictions of only one of them, and the sheet did not pool all,
            or not with this ensemble; or this ensemble cannot decide every post.
    """
    ensemble = parse(settings.ensemble)
    post_ids = [post.post_id for post in sample.posts]
    models = {}
    for name, scores in every.items():
        # Each folder has its own order of the places, so its own columns of verdicts.
        truth = truth_of(sample, settings.marks, settings.allow_unmarked, scores.info.categories)
        if sample.kind == "b":
            _check_pooled(scores, sample, ensemble, truth, settings)
        part = scores.of(post_ids)
        if left_out := decidable([ensemble], part, scores.info)[1]:
            raise CommandError(f"{scores.folder}: {left_out}")
        models[name] = Judged.of(ensemble, part, scores.info, truth)
    return models, truth


def _check_pooled(scores: Scores, sample: Sample, ensemble: Ensemble, truth: Truth, settings: CompareSettings) -> None:
    """Labels that nobody was shown were judged only where they happen to be those of others."""
    if not was_pooled(scores.info, truth):
        own = sample.encoder == scores.info.encoder  # then it is the label set that is another
        by = f"--places {settings.places}" if own and settings.places else f"--scores {scores.folder}"
        unseen, flag = f"{scores.folder} with {scores.info.places}", by
    elif not proposed_by(ensemble, truth.ensembles):
        unseen, flag = ensemble.name, f"--ensemble {settings.ensemble}"
    else:
        return
    raise CommandError(
        f"{sample.folder} was drawn from the predictions of {model_name(sample.encoder, sample.places)}, and "
        f"{settings.marks} did not propose the labels of {unseen}: make the sheet with evaluate sheet {sample.folder} "
        f"{flag} and mark it"
    )


def compare(
    models: Mapping[str, Judged], strata: Strata, bootstrap: Bootstrap, post_ids: Sequence[str], coverage: float
) -> pd.DataFrame:
    """Every pair, without a threshold and at equal coverage.

    Args:
        models: two or more labellings of the same posts, by name.
        strata: how the posts were drawn.
        bootstrap: the rounds.
        post_ids: break ties of confidence.
        coverage: share of posts that each model keeps.
    """
    rows = []
    for at in (None, coverage):
        kept = {name: _kept(judged, post_ids, 1.0 if at is None else at) for name, judged in models.items()}
        tested = [
            {"one": one, "other": other, "coverage": at}
            | _pair(models[one], models[other], kept[one], kept[other], strata, bootstrap)
            for one, other in itertools.combinations(models, 2)
        ]
        corrected = multipletests([row["p"] for row in tested], method="holm")[1]
        rows += [row | {"p_holm": float(p)} for row, p in zip(tested, corrected, strict=True)]
    return pd.DataFrame(rows)


def _kept(judged: Judged, post_ids: Sequence[str], coverage: float) -> NDArray[np.bool_]:
    """The most confident posts, ``[n]``; as many for every model that can decide so many."""
    decided = np.isfinite(judged.confidence)
    order = np.lexsort((np.array(post_ids), -np.where(decided, judged.confidence, -1.0)))
    kept = np.zeros(len(order), np.bool_)
    kept[order[: round(coverage * len(order))]] = True
    return kept & decided


def _pair(
    one: Judged,
    other: Judged,
    one_kept: NDArray[np.bool_],
    other_kept: NDArray[np.bool_],
    strata: Strata,
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    known = ~((one_kept & (one.verdict == UNJUDGED)) | (other_kept & (other.verdict == UNJUDGED)))
    by_one, by_other = one_kept & (one.verdict == RIGHT), other_kept & (other.verdict == RIGHT)
    cells = [[int((known & (by_one == a) & (by_other == b)).sum()) for b in (True, False)] for a in (True, False)]
    weights = strata.weights(strata.weightings[0])
    columns = np.stack([by_one & known, by_other & known, known], axis=1)
    one_right, other_right, everyone = weights @ columns
    sums = bootstrap.sums(weights, columns)
    share_one, share_other = (each / everyone if everyone else np.nan for each in (one_right, other_right))
    difference, effective = np.array([share_one - share_other]), effective_number(weights, known[:, None])
    low, high = paired_interval(difference, share(sums[:, [0]] - sums[:, [1]], sums[:, [2]]), effective)
    return {
        "posts": int(known.sum()),
        "left_out": int((~known).sum()),
        "one_only": cells[0][1],
        "other_only": cells[1][0],
        "one_right": share_one,
        "other_right": share_other,
        "difference": share_one - share_other,
        "ci_low": float(low[0]),
        "ci_high": float(high[0]),
        "p": float(mcnemar(cells, exact=True).pvalue),
    }


def _print(table: pd.DataFrame, truth: Truth, settings: CompareSettings) -> None:
    print(f"{truth.measure}, {parse(settings.ensemble).name}, {len(truth.posts):,} posts")
    for row in table.to_dict("records"):
        at = "without a threshold" if pd.isna(row["coverage"]) else f"at {row['coverage']:.0%} coverage"
        print(
            f"{row['one']}, {row['other']}, {at}: right {row['one_right']:.1%} and {row['other_right']:.1%}, "
            f"difference {row['difference']:+.1%} (95 % CI {row['ci_low']:+.1%} to {row['ci_high']:+.1%}); "
            f"alone right {row['one_only']:,} and {row['other_only']:,}, McNemar p {row['p']:.2g}, "
            f"Holm {row['p_holm']:.2g}"
        )
    if left_out := int(table["left_out"].max()):
        print(
            f"warning: of {len(truth.posts):,} posts up to {left_out:,} are left out of a pair, for nobody judged a "
            "label of theirs: the comparison is of the others only",
            file=sys.stderr,
        )
