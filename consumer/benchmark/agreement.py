"""How near the vectors and labels of one engine are to another's."""

from collections.abc import Sequence
from dataclasses import dataclass

from consumer.benchmark.bare import batches
from consumer.classify.classifier import Classifier
from consumer.classify.label import Label
from producer.post import Post


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of two classifiers on the same posts.

    Attributes:
        image_cosine: the worst between the two vectors of a picture.
        text_cosine: the worst between the two vectors of a caption.
        equal_labels: share of posts whose likeliest place is the same.
        lead: where it is another, by what factor the other classifier's own likeliest place is likelier in its eyes, at
            most; 1 without such posts. With random weights places are nearly level, and rounding swaps them.
    """

    image_cosine: float
    text_cosine: float
    equal_labels: float
    lead: float


def of(one: Classifier, other: Classifier, posts: Sequence[Post], batch_size: int) -> Agreement:
    """Compare two classifiers that prepare pictures alike."""
    image_cosine, text_cosine, leads = 1.0, 1.0, list[float]()
    for batch in batches(posts, batch_size):
        decoded = one.decode_all(batch)
        (images, texts), (other_images, other_texts) = one.vectors(decoded), other.vectors(decoded)
        image_cosine = min(image_cosine, float((images * other_images).sum(axis=1).min()))
        text_cosine = min(text_cosine, float((texts * other_texts).sum(axis=1).min()))
        labels = zip(one.label(decoded), other.label(decoded), strict=True)
        leads += [_lead(left, right) for left, right in labels]
    return Agreement(image_cosine, text_cosine, leads.count(1.0) / len(posts), max(leads))


def _lead(label: Label, other: Label) -> float:
    place, probability = other.top[0]
    chosen = label.top[0][0]
    return 1.0 if chosen == place else probability / dict(other.top).get(chosen, other.top[-1][1])
