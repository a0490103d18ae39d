"""What is taken for the truth about sampled posts: marks or pre-labels; and that scores, sample and sheet fit."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from consumer.classify.decision import classifies
from consumer.evaluate.marks.marks import PostMarks, Sheet, Verdict, model_name
from consumer.evaluate.samples.folder import Sample
from consumer.evaluate.scores.decide import ENSEMBLES, Ensemble, decide
from consumer.evaluate.scores.folder import ScoreInfo
from consumer.evaluate.scores.parts import ScorePart
from consumer.evaluate.stats.measure import Measure
from producer.base.errors import CommandError, UsageError

Scale = Literal["raw", "normalised"]

RIGHT, WRONG, UNJUDGED = 1, 0, -1
CODES: dict[Verdict, int] = {"right": RIGHT, "wrong": WRONG, "unjudged": UNJUDGED}


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What is known about n posts, in the sample's order.

    Attributes:
        measure: ``accuracy`` against what a person marked, ``agreement`` with pre-labels that nobody looked at.
        posts: their marks; a pre-label stands as the one true place.
        verdicts: `RIGHT`, `WRONG` or `UNJUDGED` for each place, ``[n, P]``.
        pooled: `model_name` of everything whose labels the sheet proposed; empty for pre-labels.
        ensembles: names of those that proposed them; those of the talk where the sheet does not say.
        marks_sha256: of the sheet's file; None for pre-labels.
    """

    measure: Measure
    posts: tuple[PostMarks, ...]
    verdicts: NDArray[np.int8]
    pooled: tuple[str, ...]
    ensembles: tuple[str, ...] = ()
    marks_sha256: str | None = None

    def of(self, labels: NDArray[np.int64]) -> NDArray[np.int8]:
        """The verdict on one label of each post, ``[n]``; a label of -1 (none) is unjudged."""
        found = self.verdicts[np.arange(len(labels)), labels]
        return np.where(labels < 0, np.int8(UNJUDGED), found)

    @property
    def unmarked(self) -> int:
        """Posts that nobody marked."""
        return sum(post.unmarked for post in self.posts)


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One ensemble's labels of n posts, and what the truth says about them.

    Attributes:
        ensemble: whose labels they are.
        confidence: normalised, ``[n]``; not a number where the ensemble decides nothing.
        raw: the talk's weighted sum, ``[n]``; likewise.
        verdict: `RIGHT`, `WRONG` or `UNJUDGED`, ``[n]``.
    """

    ensemble: Ensemble
    confidence: NDArray[np.float64]
    raw: NDArray[np.float64]
    verdict: NDArray[np.int8]

    @classmethod
    def of(cls, ensemble: Ensemble, part: ScorePart, info: ScoreInfo, truth: Truth) -> Self:
        """Let an ensemble decide the sample's posts, whose scores ``part`` is."""
        decided = decide(ensemble, part, info)
        return cls(ensemble, decided.confidence, decided.raw, truth.of(decided.label))

    def classified(self, scale: Scale, thresholds: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which posts are given their label at each threshold, ``[n, thresholds]``; an undecided one never is."""
        return classifies(self.on(scale)[:, None], thresholds)

    def on(self, scale: Scale) -> NDArray[np.float64]:
        """What thresholds of this scale are compared with, ``[n]``."""
        return self.raw if scale == "raw" else self.confidence

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which labels are right."""
        return np.asarray(self.verdict == RIGHT)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which labels were judged, right or wrong."""
        return np.asarray(self.verdict != UNJUDGED)


def truth_of(sample: Sample, marks: Path | None, allow_unmarked: bool, categories: tuple[str, ...]) -> Truth:
    """Read the marks, or fall back on the sample's pre-labels where it has them.

    Args:
        sample: whose posts are judged.
        marks: the sheet.
        allow_unmarked: whether unmarked posts count as unjudged; else they are an error.
        categories: the places, in the order of the scores.

    Raises:
        UsageError: there is nothing to judge by.
        CommandError: the sheet is of another sample, or has unmarked posts.
    """
    if marks is None:
        if sample.kind != "a":
            raise UsageError(f"{sample.folder} has no pre-labels: give the filled sheet, --marks SHEET.csv")
        prelabelled = tuple(
            PostMarks(post.post_id, post.city, post.stratum, None, (), true_places=(post.prelabel or "",))
            for post in sample.posts
        )
        return Truth("agreement", prelabelled, _verdicts(prelabelled, categories), ())
    sheet = Sheet.read(marks, categories)
    if sheet.sample != sample.sha256:
        raise CommandError(
            f"{marks} is the sheet of another sample ({sheet.sample[:8]}…) than {sample.folder} ({sample.sha256[:8]}…)"
        )
    posts = _in_order(sheet, sample, marks)
    if not allow_unmarked and (unmarked := [post.post_id for post in posts if post.unmarked]):
        raise CommandError(
            f"{marks}: {len(unmarked):,} of {len(posts):,} posts are unmarked (first: {unmarked[0]}): mark them, "
            "or count them as unjudged with --allow-unmarked"
        )
    by = sheet.ensembles or tuple(ensemble.name for ensemble in ENSEMBLES)
    return Truth("accuracy", posts, _verdicts(posts, categories), sheet.pooled, by, sheet.sha256)


def check_fit(folder: Path, info: ScoreInfo, sample: Sample) -> None:
    """Whether scores may be judged on a sample; the model may be another than the one it was drawn from.

    Raises:
        CommandError: they are of another label set or of another dataset.
    """
    if set(info.categories) != set(sample.categories):
        raise CommandError(
            f"{folder} has another label set ({info.places}, {len(info.categories)} places) than {sample.folder} "
            f"({sample.places}, {len(sample.categories)} places)"
        )
    if info.ids_sha256 != sample.ids_sha256:
        raise CommandError(
            f"{folder} has scores of other posts than {sample.folder} was drawn from ({info.dataset} and "
            f"{sample.dataset}): score the same dataset with the same --posts and --seed"
        )


def was_pooled(model: ScoreInfo, truth: Truth) -> bool:
    """Whether this model's labels were proposed on the sheet."""
    return model_name(model.encoder, model.places) in truth.pooled


def _in_order(sheet: Sheet, sample: Sample, path: Path) -> tuple[PostMarks, ...]:
    """The sample's posts with their marks; one without a row is unmarked."""
    rows = {post.post_id: post for post in sheet.posts}
    if strange := rows.keys() - {post.post_id for post in sample.posts}:
        raise CommandError(
            f"{path}: post {min(strange)} is not in the sample (did a spreadsheet program round the ids? "
            "Then import the column post_id as text)"
        )
    return tuple(
        rows.get(post.post_id) or PostMarks(post.post_id, post.city, post.stratum, None, ()) for post in sample.posts
    )


def _verdicts(posts: tuple[PostMarks, ...], categories: tuple[str, ...]) -> NDArray[np.int8]:
    found = [[CODES[post.verdict(place)] for place in categories] for post in posts]
    return np.array(found, np.int8).reshape(len(posts), len(categories))
