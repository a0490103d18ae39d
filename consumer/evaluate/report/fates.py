"""Which sampled posts stand for each class in the gallery: labelled correctly, incorrectly, and not classified."""

from collections.abc import Iterator
from dataclasses import dataclass

from consumer.classify.decision import classifies
from consumer.evaluate.marks.truth import RIGHT, WRONG, Truth
from consumer.evaluate.samples.folder import Sample
from consumer.evaluate.scores.decide import Ensemble, decidable, decide
from consumer.evaluate.scores.folder import Scores
from consumer.evaluate.scores.selection import rank
from producer.base.errors import CommandError


@dataclass(frozen=True, slots=True)
class Labelled:
    """One post of a column: the label of its highest confidence, whether or not it is given."""

    post_id: str
    label: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Column:
    """How many posts share a fate, and the few that are shown."""

    total: int
    posts: tuple[Labelled, ...]


@dataclass(frozen=True, slots=True)
class Fates:
    """One class and its three columns.

    Attributes:
        place: the class that the posts were drawn from; their label in a sample of the whole dataset.
        unjudged: posts with a label that nobody judged; they are in no column.
    """

    place: str
    correct: Column
    incorrect: Column
    not_classified: Column
    unjudged: int


def fates(
    sample: Sample, scores: Scores, truth: Truth, ensemble: Ensemble, threshold: float, most: int, classes: int
) -> Iterator[Fates]:
    """The classes with most posts, most first; which posts are shown is left to chance, seeded as the sample is.

    Args:
        sample: whose posts are shown.
        scores: of these posts.
        truth: what is known about them.
        ensemble: decides.
        threshold: on the normalised confidence.
        most: posts of a column.
        classes: how many are shown at most.

    Raises:
        CommandError: the ensemble cannot decide every post.
    """
    part = scores.of([post.post_id for post in sample.posts])
    if left_out := decidable([ensemble], part, scores.info)[1]:
        raise CommandError(f"--ensemble: {left_out}")
    decided = decide(ensemble, part, scores.info)
    verdicts = truth.of(decided.label)
    of_class: dict[str, dict[str, list[Labelled]]] = {}
    for post, label, confidence, verdict in zip(sample.posts, decided.label, decided.confidence, verdicts, strict=True):
        if label < 0:  # a caption alone decides nothing where there is none
            continue
        name = scores.info.categories[label]
        fate = {RIGHT: "correct", WRONG: "incorrect"}.get(int(verdict), "unjudged")
        place = name if post.stratum is None else post.stratum
        columns = of_class.setdefault(place, {})
        fate = fate if classifies(confidence, threshold) else "not_classified"
        columns.setdefault(fate, []).append(Labelled(post.post_id, name, float(confidence)))
    ranked = sorted(of_class.items(), key=lambda item: (-sum(map(len, item[1].values())), item[0]))
    for place, columns in ranked[:classes]:
        correct, incorrect, rest = (
            _column(columns.get(fate, []), sample.seed, most) for fate in ("correct", "incorrect", "not_classified")
        )
        yield Fates(place, correct, incorrect, rest, len(columns.get("unjudged", [])))


def _column(posts: list[Labelled], seed: int, most: int) -> Column:
    return Column(len(posts), tuple(sorted(posts, key=lambda post: rank(seed, post.post_id))[:most]))
