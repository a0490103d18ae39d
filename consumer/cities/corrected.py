"""Shares of places with the wrong labels taken out: share × precision, from a sample that a person marked."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from consumer.classify.decision import Decision
from consumer.count.figures import Share
from consumer.evaluate.marks.truth import RIGHT, UNJUDGED, check_fit, truth_of
from consumer.evaluate.samples.folder import Sample
from consumer.evaluate.scores.decide import Ensemble, decidable, decide
from consumer.evaluate.stats.intervals import Bootstrap, Strata, percentiles, share, share_interval
from producer.base.errors import CommandError

ROUNDS = 1_000


@dataclass(frozen=True, slots=True)
class Corrected:
    """The share of a city's posts that carry a place's label and really show it.

    Attributes:
        precision: right among the judged posts with this label, weighted by their strata.
        judged: how many there are.
        share: share of all posts × precision.
        low, high: 95 % percentile bootstrap of posts, and of marks within their strata. Where all judged labels are
            right, or none, or all posts of the city carry the label, it sees no spread: there the ends are those of
            both intervals multiplied, which is rather too wide.
    """

    precision: float
    judged: int
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What a person says about the labels that the worker gives the posts of a sample.

    Attributes:
        places: the categories whose precision the sample speaks of.
        labels: the worker's, indices into `categories`, ``[n]``; -1 where it gives none, or nobody judged it.
        right: whether it is right, ``[n]``.
        unjudged: posts with a label that nobody judged.
    """

    categories: tuple[str, ...]
    places: frozenset[str]
    labels: NDArray[np.int64]
    right: NDArray[np.bool_]
    strata: Strata
    unjudged: int

    @property
    def posts(self) -> int:
        """Posts whose label was judged."""
        return int((self.labels >= 0).sum())


def judge(sample: Sample, marks: Path, stamp: str, moved: Path | None = None) -> Judged:
    """Judge the labels that a worker with these settings gives the sample's posts.

    Args:
        sample: whose score folder is still there, or ``moved``.
        marks: its sheet; unmarked posts count as unjudged.
        stamp: ``encoder|places|decision`` of the counted labels, as `consumer.count.counters.stamp_of` writes it.
        moved: where the sample's score folder is now; None for where it was.

    Raises:
        CommandError: the sample is drawn by pre-labels, the sheet is of another sample, or the counted labels are of
            another model or label set.
    """
    if sample.kind == "a":
        raise CommandError(
            f"--sample {sample.folder} was drawn by pre-labels, which leaves out labels of the model that disagree "
            "with them: its precision is none of the dataset's; take a sample-c, or a sample-b"
        )
    encoder, places, decision = stamp.rsplit("|", 2)
    if (encoder, places) != (sample.encoder, sample.places):
        raise CommandError(
            f"the marks are of labels by {sample.encoder} with {sample.places}, the counted posts of labels by "
            f"{encoder} with {places}: the precision of those says nothing about these"
        )
    scores = sample.scores(moved)
    check_fit(scores.folder, scores.info, sample)
    truth = truth_of(sample, marks, allow_unmarked=True, categories=scores.info.categories)
    counted = _decision(decision)
    part = scores.of([post.post_id for post in sample.posts])
    if left_out := decidable([Ensemble.of(counted)], part, scores.info)[1]:
        raise CommandError(f"{scores.folder}: {left_out}")
    decided = decide(Ensemble.of(counted), part, scores.info)
    labels = np.where(counted.classifies(decided.confidence), decided.label, -1)
    verdicts = truth.of(labels)
    unjudged = int(((verdicts == UNJUDGED) & (labels >= 0)).sum())
    labels = np.where(verdicts == UNJUDGED, -1, labels)
    strata = Strata.from_sample(sample)
    known = frozenset(strata.names or scores.info.categories)
    return Judged(scores.info.categories, known, labels, verdicts == RIGHT, strata, unjudged)


def correct(
    judged: Judged, posts: Mapping[str, Mapping[str, int]], seed: int, rounds: int = ROUNDS
) -> dict[tuple[str, str], Corrected]:
    """Share × precision per city and place; places of which no label was judged are not in it.

    Nor are, with a sample of experiment B, places that it was not drawn from: of their posts it holds only those that
    the picture alone takes for another place.

    Only wrong labels are taken out. Posts that show the place under another label, or under none, are not put in,
    and the precision is taken to be the same in every city.

    Args:
        judged: the marked sample.
        posts: city -> place -> posts, those that were not classified included.
        seed: of the bootstrap.
        rounds: how many there are.
    """
    of_class = (judged.labels[:, None] == np.arange(len(judged.categories))).astype(np.float64)
    right = of_class * judged.right[:, None]
    weights = judged.strata.weights("frequency")
    bootstrap = Bootstrap.within(judged.strata, rounds, seed)
    precision, least, most = share_interval(bootstrap, weights, right > 0, of_class > 0)
    drawn = share(bootstrap.sums(weights, right), bootstrap.sums(weights, of_class))
    counts, flat = of_class.sum(axis=0), np.isclose(precision, 0) | np.isclose(precision, 1)
    chance = np.random.default_rng(seed)
    column = {
        category: number
        for number, category in enumerate(judged.categories)
        if counts[number] and category in judged.places
    }
    found = {}
    for city, of_places in sorted(posts.items()):
        total = sum(of_places.values())
        for place, k in sorted(of_places.items()):
            if k and (at := column.get(place)) is not None:
                carries = Share.of(k, total)
                shares = chance.binomial(total, carries.share, rounds) / total
                low, high = (float(end[0]) for end in percentiles((shares * drawn[:, at])[:, None]))
                if flat[at] or k == total:
                    low, high = carries.low * float(least[at]), carries.high * float(most[at])
                right_of = float(precision[at])
                found[city, place] = Corrected(right_of, int(counts[at]), carries.share * right_of, low, high)
    return found


def _decision(name: str) -> Decision:
    try:
        return Decision.parse(name)
    except ValueError:
        kind, _, settings = name.partition(" ")
        raise CommandError(
            f"the counted labels were decided by {kind!r} with {settings!r}, which this version does not know"
        ) from None
