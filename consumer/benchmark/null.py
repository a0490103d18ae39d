"""No model: what is left is reading, records, headers and transactions, exactly as in production."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import numpy as np
import torch

from consumer.classify.classifier import Classifier, Decoded
from consumer.classify.decision import Decision
from consumer.classify.head import Head
from consumer.classify.label import Label, Ranking, Vectors
from consumer.label.settings import LabelSettings
from consumer.labeled_post import LabeledPost
from consumer.origin import Origin
from consumer.record import SourceRecord
from producer.post import Post

PLACES = ("bridge", "viaduct", "river", "harbor", "tower")
DIMENSIONS = 512
"""Of a vector: as many as ViT-B-32's."""


class NullClassifier(Classifier):
    """Every post gets the same label, at once: no decode, no model, no language."""

    def __init__(self) -> None:
        self.encoder_name = "null"
        self.places_stamp = "null@00000000"
        vectors = np.eye(len(PLACES), DIMENSIONS, dtype=np.float32)
        self.head = Head(PLACES, vectors, 100, 100, Decision(threshold=0.3))
        ranking = Ranking(PLACES[0], 0.83, tuple((place, 0.83 / (index + 1)) for index, place in enumerate(PLACES)))
        self._label = Label(
            place=ranking.place,
            confidence=ranking.confidence,
            top=ranking.top,
            decided_by="image",
            image=ranking,
            text=None,
            language=None,
            sentiment=None,
            caption_use="skipped",
            vectors=Vectors(np.full(DIMENSIONS, DIMENSIONS**-0.5, np.float32), None, None),
        )
        self._prepared = torch.empty(0)

    def decode_each(self, posts: Sequence[Post]) -> Iterator[Decoded]:
        """Leave the pictures as they are."""
        return (Decoded(post, self._prepared) for post in posts)

    def label(self, batch: Sequence[Decoded]) -> list[Label]:
        """The one label, as often as asked."""
        return [self._label] * len(batch)

    def record(self, settings: LabelSettings) -> tuple[bytes, list[tuple[str, bytes]]]:
        """Value and headers of one labelled post, as large as they are in production."""
        label = LabeledPost.of(
            Post("0" * 19, "london", b""),
            self._label,
            self.decision,
            self.encoder_name,
            self.places_stamp,
            SourceRecord(topic=settings.input_topic, partition=0, offset=4711),
            datetime.now(UTC),
        )
        return label.to_value(), label.headers(Origin.of(settings.group_id, label.source), None)
