"""Why a post has its label: the parts of its confidence, and sentences. Pure."""

from dataclasses import dataclass

import numpy as np

from consumer.classify.places import readable
from consumer.labeled_post import BroaderRecord, LabeledPost


@dataclass(frozen=True, slots=True)
class Parts:
    """What picture and caption add to the deciding confidence; their sum is the confidence.

    Attributes:
        image: of the picture; all of it where the picture alone decided.
        text: of the caption.
        known: whether the record tells; it holds five places of each, and the winner may be in neither list.
    """

    image: float
    text: float
    known: bool


def parts(post: LabeledPost) -> Parts:
    """Split the confidence of a post's best place."""
    return share_of(post, post.top[0][0] if post.top else post.place or "", post.confidence)


def share_of(post: LabeledPost, place: str, confidence: float) -> Parts:
    """Split a place's deciding confidence: what `Decision.combine` makes of either distribution without the other."""
    if post.decided_by == "image":
        return Parts(confidence, 0.0, True)
    combine, nothing = post.decision.to_decision().combine, np.array(0.0)
    image = dict(post.image.top).get(place)
    if image is not None:
        of_image = min(confidence, float(combine(np.array(image), nothing)))
        return Parts(of_image, confidence - of_image, True)
    text = dict(post.text.top).get(place) if post.text else None
    if text is not None:
        of_text = min(confidence, float(combine(nothing, np.array(text))))
        return Parts(confidence - of_text, of_text, True)
    return Parts(confidence, 0.0, False)


def why(post: LabeledPost) -> list[str]:
    """Sentences: what decided, and why the post has a place or none."""
    return [_who_decided(post), _how_it_ended(post)]


def _who_decided(post: LabeledPost) -> str:
    decision, image = post.decision, post.image
    sure = f"{readable(image.place)} with {number(image.confidence)}"
    if post.decided_by == "ensemble":
        weights = "{} to {}".format(*(f"{weight:g}" for weight in decision.weights))
        if decision.ensemble == "conditional":
            return (
                f"The picture alone was not sure: its best place is {sure}, not above the gate of "
                f"{decision.gate:g}. So picture and caption decided together, weighted {weights}."
            )
        return f"Picture and caption always decide together here, weighted {weights}."
    if decision.ensemble == "only-image":
        return f"The picture alone decides here, whatever the caption says: {sure}."
    if decision.to_decision().needs_no_caption(image.confidence):
        return (
            f"The picture alone decided: it is sure of {sure}, above the gate of {decision.gate:g}. "
            "The caption was not looked at."
        )
    if decision.ensemble == "conditional" and round(image.confidence, 4) == round(decision.gate, 4):
        return f"The picture alone decided: {sure}."  # four decimals do not tell on which side of the gate it was
    return f"There was no caption, so the picture alone decided: {sure}."


def _how_it_ended(post: LabeledPost) -> str:
    confidence, threshold = number(post.confidence), f"{post.decision.threshold:g}"
    if post.place is not None:
        return f"The confidence of {confidence} reaches the threshold of {threshold}: {readable(post.place)}."
    nearest = f"; {readable(post.top[0][0])} came nearest" if post.top else ""
    ended = f"The confidence of {confidence} is below the threshold of {threshold}: not classified{nearest}."
    if post.broader is None:
        return ended
    whole = f"All places of {group(post.broader)} together have {number(post.broader.confidence)}"
    return f"{ended} {whole}, so that is the broader answer."


def group(broader: BroaderRecord) -> str:
    """A group of places as one reads it: its synonyms, or the label set's name of it."""
    return " or ".join(map(readable, broader.name.split("|"))) if broader.level == "synonyms" else broader.name


def number(value: float) -> str:
    """A confidence with two decimals; never rounded onto 0 or 1 that it is not."""
    if 0 < value < 0.005:
        return "<0.01"
    return ">0.99" if 0.995 <= value < 1 else f"{value:.2f}"
