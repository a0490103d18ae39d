"""How near the vectors and labels of one engine are to another's."""

from collections.abc import Sequence
from dataclasses import dataclass

from consumer.benchmark.bare import batches
from consumer.classify.classifier import Classifier
from producer.post import Post


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of two classifiers on the same posts.

    Attributes:
        image_cosine: the worst between the two vectors of a picture.
        text_cosine: the worst between the two vectors of a caption.
        equal_labels: share of posts whose likeliest place is the same.
    """

    image_cosine: float
    text_cosine: float
    equal_labels: float


def of(one: Classifier, other: Classifier, posts: Sequence[Post], batch_size: int) -> Agreement:
    """Compare two classifiers that prepare pictures alike."""
    image_cosine, text_cosine, equal = 1.0, 1.0, 0
    for batch in batches(posts, batch_size):
        decoded = [one.decode(post) for post in batch]
        (images, texts), (other_images, other_texts) = one.vectors(decoded), other.vectors(decoded)
        image_cosine = min(image_cosine, float((images * other_images).sum(axis=1).min()))
        text_cosine = min(text_cosine, float((texts * other_texts).sum(axis=1).min()))
        labels = zip(one.label(decoded), other.label(decoded), strict=True)
        equal += sum(left.top[0][0] == right.top[0][0] for left, right in labels)
    return Agreement(image_cosine, text_cosine, equal / len(posts))
