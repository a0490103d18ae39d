"""A simulated experiment: a score folder, a sample of it and a filled sheet, with the truth known and calibrated.

Each post has a true place, drawn evenly. Picture and caption see, per place, a normal variable of variance 1 whose mean
is the model's skill at the true place and 0 elsewhere. The softmax of skill · variable is then exactly the probability
of each place given what was seen: the confidences are calibrated.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pyarrow import parquet

from consumer.classify.decision import GATE, Decision, is_sure
from consumer.classify.factory import HeadOf
from consumer.classify.head import Head
from consumer.evaluate.marks.marks import PostMarks, Sheet, model_name
from consumer.evaluate.marks.truth import Judged, Truth, truth_of
from consumer.evaluate.samples.folder import Kind, Sample, SampledPost, Stratum, write_sample
from consumer.evaluate.scores import folder as of_folder
from consumer.evaluate.scores.decide import ENSEMBLES, IMAGE, Ensemble, decide, image_probabilities
from consumer.evaluate.scores.folder import Scores
from consumer.evaluate.scores.parts import ScorePart, part_paths
from consumer.evaluate.stats.intervals import Bootstrap, Strata
from consumer.evaluate.stats.measure import Measure
from tests.unit.consumer.evaluate.made_up import made_up, table_of, write_folder

CATEGORIES = (
    "bridge",
    "viaduct",
    "harbor",
    "coast",
    "coffee_shop",
    "bar",
    "museum/indoor",
    "art_gallery",
    "skyscraper",
    "sky",
)
SYNONYMS = (("bridge", "viaduct"), ("museum/indoor", "art_gallery"))
KINDS = {
    "water": ("bridge", "viaduct", "harbor"),
    "drinks": ("coffee_shop", "bar"),
    "art": ("museum/indoor", "art_gallery"),
    "high": ("skyscraper", "sky"),
}
GROUPS = [{"level": "synonyms", "name": "|".join(members), "members": members} for members in SYNONYMS] + [
    {"level": "level2", "name": name, "members": members} for name, members in KINDS.items()
]
"""The coast is in none."""
CITIES = ("chicago", "london", "sydney")
SCALE = 20.0


@dataclass(frozen=True, slots=True)
class Simulated:
    """Where everything is, and what is true.

    Attributes:
        truth: post -> its place; None where the picture shows no place.
    """

    scores: Path
    sample: Path
    sheet: Path
    truth: dict[str, str | None]


def simulate(
    folder: Path,
    kind: Kind = "b",
    posts: int = 1_000,
    *,
    per_class: int = 60,
    no_place: float = 0.0,
    captioned: float = 0.8,
    image_skill: float = 1.6,
    text_skill: float = 1.2,
    seed: int = 7,
) -> Simulated:
    """Write a score folder, a sample and a sheet in which every proposed label is marked by the truth.

    Args:
        folder: new.
        kind: of the sample. a: strata by a pre-label that is right for 7 posts in 10; b: by the picture's label;
            c: every post.
        posts: in the score folder.
        per_class: sampled of each class, at most.
        no_place: share of pictures that show no place.
        captioned: share of posts with a caption.
        image_skill: of the model at pictures; at 0 it guesses.
        text_skill: at captions.
        seed: of everything.
    """
    chance = np.random.default_rng(seed)
    true = chance.integers(len(CATEGORIES), size=posts)
    true[chance.random(posts) < no_place] = -1
    scores = write_scores(folder / "scores", true, captioned, image_skill, text_skill, chance)
    ids = [post_id for part in scores.parts() for post_id in part.post_ids]
    truth = {post_id: None if place < 0 else CATEGORIES[place] for post_id, place in zip(ids, true, strict=True)}
    sample = _draw(folder / "sample", scores, kind, truth, per_class, chance)
    sheet = folder / "marks.csv"
    write_sheet(sheet, sample, [scores], truth)
    return Simulated(scores.folder, sample.folder, sheet, truth)


def write_scores(
    folder: Path,
    true: NDArray[np.int64],
    captioned: float,
    image_skill: float,
    text_skill: float,
    chance: np.random.Generator,
    encoder: str = "simulated",
    places: str = "ten@0123abcd",
) -> Scores:
    """A score folder of a model with these skills, in two parts; posts are numbered as ``true`` is."""
    posts = len(true)
    has_text = chance.random(posts) < captioned
    image = _cosines(true, image_skill, chance)
    ids = [str(1_400_000_000_000_000_000 + number) for number in range(posts)]
    text = np.where(has_text[:, None], _cosines(true, text_skill, chance), np.nan)
    part = replace(
        made_up(image, text, ids),
        cities=[CITIES[number % len(CITIES)] for number in range(posts)],
        created_at=[datetime(2017, 3, 1, tzinfo=UTC) + timedelta(hours=number) for number in range(posts)],
    )
    half = (posts + 1) // 2
    write_folder(
        folder,
        (rows_of(part, slice(half)), rows_of(part, slice(half, None))),
        CATEGORIES,
        posts,
        encoder=encoder,
        places=places,
        groups=GROUPS,
        image_logit_scale=SCALE,
        text_logit_scale=SCALE,
        threshold=0.5,
        path=str((folder.parent / "dataset").resolve()),
        ids_sha256=hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest(),
    )
    return Scores.open(folder)


def rows_of(part: ScorePart, rows: slice) -> ScorePart:
    """Some posts of a part."""
    return ScorePart(*(getattr(part, field.name)[rows] for field in fields(part)))


def as_a_worker_leaves_it(folder: Path, gate: float = GATE) -> None:
    """Take away the captions' vectors of pictures that are sure: ENCODE_CAPTIONS=needed encodes no such caption."""
    scores = Scores.open(folder)
    for path, part in zip(part_paths(folder), list(scores.parts()), strict=True):
        has_text = part.has_text & ~is_sure(image_probabilities(part, scores.info).max(axis=1), gate)
        parquet.write_table(table_of(replace(part, has_text=has_text), scores.info.stamp), path)


def other_places(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """A label set of the same categories in other words, whose vectors are there without a model."""
    path = folder / "reworded.csv"
    path.write_text("category,wording\n" + "".join(f"{each},such a {each}\n" for each in CATEGORIES), "utf-8")
    vectors = np.roll(np.eye(len(CATEGORIES), dtype=np.float32), 1, axis=0)  # each place takes another's pictures
    head = Head(CATEGORIES, vectors, SCALE, SCALE, Decision(threshold=0.5))
    monkeypatch.setattr(of_folder, "build_head", lambda settings: HeadOf(head, "simulated", "reworded@89abcdef"))
    return path


def write_sheet(path: Path, sample: Sample, pooled: list[Scores], truth: dict[str, str | None]) -> None:
    """A sheet in which a person who knows the truth marked every label that some ensemble proposes."""
    proposed: list[set[str]] = [set() for _ in sample.posts]
    for scores in pooled:
        part = scores.of([post.post_id for post in sample.posts])
        for ensemble in ENSEMBLES:
            for labels, label in zip(proposed, decide(ensemble, part, scores.info).label, strict=True):
                if label >= 0:
                    labels.add(scores.info.categories[label])
    names = tuple(model_name(scores.info.encoder, scores.info.places) for scores in pooled)
    rows = [_mark(post, sorted(labels), truth) for post, labels in zip(sample.posts, proposed, strict=True)]
    Sheet(sample.sha256, names, tuple(rows), tuple(ensemble.name for ensemble in ENSEMBLES)).write(path)


def _mark(post: SampledPost, labels: list[str], truth: dict[str, str | None]) -> PostMarks:
    place = truth[post.post_id]
    right = tuple(label for label in labels if label == place)
    wrong = tuple(label for label in labels if label != place)
    return PostMarks(post.post_id, post.city, post.stratum, None, tuple(labels), right, wrong, no_place=place is None)


def _cosines(true: NDArray[np.int64], skill: float, chance: np.random.Generator) -> NDArray[np.float32]:
    seen = chance.normal(size=(len(true), len(CATEGORIES)))
    shows = true >= 0
    seen[shows, true[shows]] += skill
    return (skill * seen / SCALE).astype(np.float32)


def _draw(
    folder: Path, scores: Scores, kind: Kind, truth: dict[str, str | None], per_class: int, chance: np.random.Generator
) -> Sample:
    part = scores.of(list(truth))
    if kind == "c":
        everything = [
            SampledPost(post_id, city, None, None) for post_id, city in zip(part.post_ids, part.cities, strict=True)
        ]
        return write_sample(folder, "c", 1, scores, [Stratum(None, len(truth), len(truth))], everything)
    if kind == "b":
        labels = [CATEGORIES[label] for label in decide(IMAGE, part, scores.info).label]
    else:
        others = chance.choice(CATEGORIES, len(truth))
        knows = chance.random(len(truth)) < 0.7
        labels = [
            place if place and ok else other for place, ok, other in zip(truth.values(), knows, others, strict=True)
        ]
    posts, strata = [], []
    for place in CATEGORIES:
        of_class = [number for number, label in enumerate(labels) if label == place]
        drawn = sorted(of_class, key=lambda number: hashlib.sha256(f"1|{part.post_ids[number]}".encode()).digest())
        drawn = drawn[:per_class]
        strata.append(Stratum(place, len(of_class), len(drawn)))
        prelabel = place if kind == "a" else None
        posts += [SampledPost(part.post_ids[number], part.cities[number], place, prelabel) for number in drawn]
    return write_sample(folder, kind, 1, scores, strata, posts, "simulated" if kind == "a" else None)


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A simulated experiment as the tables take it."""

    scores: Scores
    sample: Sample
    truth: Truth
    part: ScorePart
    strata: Strata
    bootstrap: Bootstrap
    answers: list[Judged]


def opened(experiment: Simulated, rounds: int = 200) -> Opened:
    """Let all ensembles of the talk answer, and hold them against the sheet."""
    scores, sample = Scores.open(experiment.scores), Sample.open(experiment.sample)
    truth = truth_of(sample, experiment.sheet, False, scores.info.categories)
    part = scores.of([post.post_id for post in sample.posts])
    strata = Strata.from_sample(sample)
    answers = [Judged.of(ensemble, part, scores.info, truth) for ensemble in ENSEMBLES]
    return Opened(scores, sample, truth, part, strata, Bootstrap.within(strata, rounds, 1), answers)


def judged(
    confidence: Sequence[float], verdict: Sequence[int], ensemble: Ensemble = IMAGE, scale: float = 1.0
) -> Judged:
    """Labels by hand: a confidence (nan: undecided) and 1, 0 or -1 for right, wrong or unjudged; raw is scaled."""
    of = np.array(confidence)
    return Judged(ensemble, of, of * scale, np.array(verdict, np.int8))


Inputs = tuple[Sequence[Judged], Strata, Bootstrap, Measure, dict[str, NDArray[np.bool_]]]


def inputs(*answers: Judged, strata: Strata | None = None, rounds: int = 100) -> Inputs:
    """What a table of curves is computed from: these answers, by default of a sample of a whole dataset."""
    posts = len(answers[0].verdict)
    strata = strata or everyone(posts)
    return answers, strata, Bootstrap.within(strata, rounds, 1), "accuracy", {"all": np.ones(posts, np.bool_)}


def everyone(posts: int) -> Strata:
    """A sample of a whole dataset."""
    return Strata((), np.zeros(posts, np.int64), np.array([float(posts)]))
