"""From cosines to labels and confidences, for every way in which picture and caption may decide."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self, cast, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from consumer.classify.decision import GATE, WEIGHTS, Decision, EnsembleKind, reaches, softmax, winner
from consumer.evaluate.scores.folder import ScoreInfo
from consumer.evaluate.scores.parts import ScorePart
from producer.base.settings import Settings

Kind = Literal[EnsembleKind, "only-text"]


@dataclass(frozen=True, slots=True)
class Ensemble:
    """One way to decide.

    Attributes:
        kind: the caption alone, or as `consumer.classify.decision.Decision` has it.
        weights: of the picture's and the caption's probabilities.
        gate: confidence above which ``conditional`` needs no caption.
        text_threshold: a caption whose own confidence is below it does not count; None: every caption counts.
    """

    kind: Kind
    weights: tuple[float, float] = WEIGHTS
    gate: float = GATE
    text_threshold: float | None = None

    @classmethod
    def of(cls, decision: Decision) -> Self:
        """The ensemble of a worker's decision, which has a threshold as well."""
        return cls(decision.ensemble, decision.weights, decision.gate)

    @property
    def name(self) -> str:
        """As it stands in tables and plots; the talk's names."""
        of_image, of_text = self.weights
        talks = {
            "only-image": "OnlyImg",
            "only-text": "OnlyText",
            "ensemble": f"Img x {of_image:g} + Text x {of_text:g}",
        }
        gate = f" (> {self.gate:g})" if self.gate != GATE else ""
        name = talks.get(self.kind, f"{self.kind} {of_image:g}/{of_text:g}{gate}")
        if self.text_threshold is None or self.kind == "only-image":
            return name
        return f"{name}, text ≥ {self.text_threshold:g}"

    @property
    def combines(self) -> bool:
        """Whether it ever weighs picture and caption together."""
        return self.kind not in ("only-image", "only-text")

    @property
    def most(self) -> float:
        """The most that the talk's raw sum can be where picture and caption decide; else it is the confidence."""
        return sum(self.weights) if self.combines else 1.0


IMAGE, BOTH, CONDITIONAL = Ensemble("only-image"), Ensemble("ensemble"), Ensemble("conditional")
ENSEMBLES: tuple[Ensemble, ...] = (
    IMAGE,
    Ensemble("only-text"),
    BOTH,
    Ensemble("ensemble", (0.8, 0.2)),
    CONDITIONAL,
    Ensemble("conditional", (0.8, 0.2)),
)
"""Those of the talk; the paper's weights beside the notes'."""
TALKED_OF = tuple(ensemble.name for ensemble in (IMAGE, BOTH, CONDITIONAL))
"""Those of the talk's findings. Only they have bands and classes in figures: seven would cover each other."""


@dataclass(frozen=True, slots=True, eq=False)
class Decided:
    """What an ensemble makes of n posts.

    Attributes:
        label: index of the winning category, ``[n]``; -1 where nothing can be decided: only-text without a caption, or
            an `undecidable` post.
        confidence: of the winner in [0, 1], what the worker publishes; NaN where nothing can be decided.
        raw: the talk's weighted sum, up to the sum of the weights; the confidence where one of the two decides alone.
        by_image: whether the picture alone decided.
    """

    label: NDArray[np.int64]
    confidence: NDArray[np.float64]
    raw: NDArray[np.float64]
    by_image: NDArray[np.bool_]


def parse(text: str) -> Ensemble:
    """An ensemble of the talk by its name, or any as a flag gives it.

    That is ``KIND[:IMAGE,TEXT[:GATE[:TEXT_THRESHOLD]]]``, e.g. ``conditional:0.8,0.5:0.6``.

    Raises:
        ValueError: it is none; the message says what one looks like.
    """
    if known := next((each for each in ENSEMBLES if each.name == text), None):
        return known
    kinds = get_args(Kind)
    parts = text.strip().split(":")
    try:
        of_image, of_text = map(float, parts[1].split(",")) if len(parts) > 1 else WEIGHTS
        gate = float(parts[2]) if len(parts) > 2 else GATE
        text_threshold = float(parts[3]) if len(parts) > 3 else None
        shares = (gate, 0.0 if text_threshold is None else text_threshold)
        if parts[0] not in kinds or len(parts) > 4 or not all(0 <= share <= 1 for share in shares):
            raise ValueError
        if not (0 <= of_image < np.inf and 0 <= of_text < np.inf and of_image + of_text > 0):
            raise ValueError
    except ValueError:
        raise ValueError(
            f"--ensemble {text!r}: must be KIND[:IMAGE,TEXT[:GATE[:TEXT_THRESHOLD]]], KIND one of {', '.join(kinds)}; "
            "for example conditional:0.8,0.5:0.6"
        ) from None
    return Ensemble(cast(Kind, parts[0]), (of_image, of_text), gate, text_threshold)


def _parsed(text: str) -> str:
    parse(text)
    return text


def _put_together(given: str | list[str]) -> list[str]:
    """What was split at the comma of the weights: a comma before a letter begins another ensemble."""
    whole = given if isinstance(given, str) else ",".join(given)
    return [text for text in re.split(r",(?=\s*[a-z])", whole) if text]


EnsembleFlag = Annotated[str, AfterValidator(_parsed)]
"""What `parse` understands."""


class FurtherEnsembles(Settings):
    """The flag that adds ensembles to those of the talk."""

    # NoDecode: the worker's variable PLACESTREAM_ENSEMBLE is no JSON, and may well be set.
    ensemble: Annotated[list[EnsembleFlag], NoDecode, BeforeValidator(_put_together)] = Field(
        [], description="another: KIND[:IMAGE,TEXT[:GATE[:TEXT_THRESHOLD]]]; may be repeated"
    )

    def with_further(self, *known: Ensemble) -> tuple[Ensemble, ...]:
        """The known ensembles and the further ones; each name once."""
        return tuple({each.name: each for each in (*known, *map(parse, self.ensemble))}.values())


def proposed_by(ensemble: Ensemble, pooled: Collection[str]) -> bool:
    """Whether ensembles of these names propose every label that this one gives, whatever its gate and text threshold.

    A post gets the label of the picture alone, of the caption alone, or of both as they are weighted.
    """
    deciding = (IMAGE, Ensemble("ensemble", ensemble.weights)) if ensemble.combines else (Ensemble(ensemble.kind),)
    return ensemble.name in pooled or {each.name for each in deciding} <= set(pooled)


def decide(ensemble: Ensemble, part: ScorePart, info: ScoreInfo) -> Decided:
    """What the ensemble makes of the posts, without a threshold."""
    deciding, by_image = distributions(ensemble, part, info)
    label, confidence = winner(deciding)
    raw = confidence * np.where(by_image, 1.0, ensemble.most)
    return Decided(np.where(np.isnan(confidence), -1, label), confidence, raw, by_image)


def undecidable(ensemble: Ensemble, part: ScorePart, info: ScoreInfo) -> NDArray[np.bool_]:
    """Which posts have a caption that the ensemble needs and that was not encoded, ``[n]``.

    A worker with ENCODE_CAPTIONS=needed encodes no caption of a picture that is sure.
    """
    image = image_probabilities(part, info)
    return part.has_caption & ~part.has_text & _needs_caption(ensemble, image)


def decidable(ensembles: Sequence[Ensemble], part: ScorePart, info: ScoreInfo) -> tuple[tuple[Ensemble, ...], str]:
    """The ensembles that can decide all these posts, and what to say of the others; nothing where there are none."""
    lacking = {each: int(undecidable(each, part, info).sum()) for each in ensembles}
    left_out = [f"{each.name} ({posts:,} posts)" for each, posts in lacking.items() if posts]
    said = (
        f"not every caption was encoded that is needed by {', '.join(left_out)}; ENCODE_CAPTIONS=all of the workers "
        "encodes them"
    )
    return tuple(each for each, posts in lacking.items() if not posts), said if left_out else ""


def distributions(
    ensemble: Ensemble, part: ScorePart, info: ScoreInfo
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The distribution over places by which each post is decided, ``[n, P]``, and whether it is the picture's, ``[n]``.

    A caption that counts is weighed by `Decision`; where there is none the picture decides alone. Under only-text
    nothing does: the row is NaN. So is that of a post which is `undecidable`.
    """
    image = image_probabilities(part, info)
    text = text_probabilities(part, info)
    needs = _needs_caption(ensemble, image)
    unknown = part.has_caption & ~part.has_text & needs
    counts = part.has_text.copy()
    if ensemble.text_threshold is not None:
        counts[counts] = reaches(text[counts].max(axis=1), ensemble.text_threshold)
    if ensemble.kind == "only-text":
        return np.where(counts[:, None], text, np.nan), np.zeros(len(part), np.bool_)
    counts &= needs
    image[counts] = _decision(ensemble).combine(image[counts], text[counts])
    image[unknown] = np.nan
    return image, ~counts & ~unknown


def _needs_caption(ensemble: Ensemble, image: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether a caption would count, for the pictures' probabilities ``[n, P]``."""
    if ensemble.kind == "only-text":
        return np.ones(len(image), np.bool_)
    return ~_decision(ensemble).needs_no_caption(image.max(axis=1))


def _decision(ensemble: Ensemble) -> Decision:
    assert ensemble.kind != "only-text"
    return Decision(ensemble=ensemble.kind, weights=ensemble.weights, gate=ensemble.gate, threshold=0.0)


def image_probabilities(part: ScorePart, info: ScoreInfo) -> NDArray[np.float64]:
    """The pictures' distributions over places, ``[n, P]``."""
    return softmax(part.image * info.image_logit_scale)


def text_probabilities(part: ScorePart, info: ScoreInfo) -> NDArray[np.float64]:
    """The captions' distributions over places, ``[n, P]``; NaN where none was encoded."""
    return softmax(part.text * info.text_logit_scale)
