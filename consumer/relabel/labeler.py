"""Stages `decode` and `encode` of a worker without pictures: records become labelled posts where they are decided."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consumer.dead_letter import DeadLetter, left_out_of
from consumer.labeled_post import WrittenPost
from consumer.metrics import RelabelMetrics
from consumer.relabel.decide import Decided


class VectorLabeler:
    """Encoded posts, labelled by a head.

    Args:
        decide: the values of records, decided: `decide.decide` of a head, or `process.Process.decide`.
        metrics: where captions that are missed are counted.
    """

    threads = 1
    at_once = 1024

    def __init__(
        self, decide: Callable[[Sequence[bytes | None]], Sequence[Decided | DeadLetter]], metrics: RelabelMetrics
    ) -> None:
        self._decide = decide
        self.metrics = metrics

    def decode(self, records: Sequence[Any]) -> list["Relabeled | DeadLetter"]:
        """All of the work."""
        left_out = {number: found for number, record in enumerate(records) if (found := left_out_of(record))}
        decided = self._decide([record.value for record in records])
        return [
            DeadLetter.without(left_out[number])
            if number in left_out
            else outcome
            if isinstance(outcome, DeadLetter)
            else Relabeled(outcome.post, outcome.misses_caption, self.metrics)
            for number, outcome in enumerate(decided)
        ]

    def label(self, decoded: Sequence["Relabeled"]) -> Sequence["Relabeled"]:
        """Nothing is left to do."""
        return decoded


@dataclass(frozen=True, slots=True)
class Relabeled:
    """An encoded post and its new label; see `Decided`."""

    post: WrittenPost
    misses_caption: bool
    metrics: RelabelMetrics

    def labeled_post(self, record: Any, now: datetime) -> WrittenPost:
        """As it was decided."""
        return self.post

    def encoded_post(self, record: Any, now: datetime) -> None:
        """Nothing: the vectors are there."""

    def record_published(self) -> None:
        """Count a caption that was missed."""
        if self.misses_caption:
            self.metrics.captions_missing.inc()
