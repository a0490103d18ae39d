"""Stage `encode`: batches in flight. The decode pool feeds one model thread, which labels batch after batch.

What decodes and labels is given: `PictureLabeler` here; `relabel` has another.
"""

import concurrent.futures
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from consumer.classify.classifier import Classifier, Decoded
from consumer.classify.compute.cores import each_alone
from consumer.classify.label import Label
from consumer.classify.pictures.pool import AT_ONCE
from consumer.classify.survive import survive
from consumer.dead_letter import DeadLetter
from consumer.encoded_post import EncodedPost
from consumer.label.batch import Batch
from consumer.label.decode import decode
from consumer.label.trial import MOST_DEATHS
from consumer.labeled_post import LabeledPost, WrittenPost
from consumer.metrics import LabelMetrics
from producer.post import Post

D = TypeVar("D")

CAPTION_OUTCOME = {"encoded": "done", "skipped": "skipped", "none": "no_caption"}
"""What became of a caption, as the closed label of ``text_encodings_total``."""

POISON = f"{MOST_DEATHS} workers died, each while it had this record alone: killed, out of memory, or hanging"


class Labeled(Protocol):
    """A post with its label."""

    def labeled_post(self, record: Any, now: datetime) -> LabeledPost | WrittenPost:
        """What is published of it.

        Args:
            record: of the input, as kafka-python's consumer returned it.
            now: with an offset.
        """
        ...

    def encoded_post(self, record: Any, now: datetime) -> EncodedPost | None:
        """What is published beside it; None: nothing. Arguments as above."""
        ...

    def record_published(self) -> None:
        """Count what is committed."""
        ...


class Labeler(Protocol[D]):
    """Records in, labels out, in two steps.

    Attributes:
        threads: of the decode pool.
        at_once: records that are given to `decode` together, at most.
    """

    threads: int
    at_once: int

    def decode(self, records: Sequence[Any]) -> Iterable[D | DeadLetter]:
        """Each record alone, in their order; runs in the decode pool."""
        ...

    def label(self, decoded: Sequence[D]) -> Sequence[Labeled | DeadLetter]:
        """All of a batch, in their order; runs in the model thread, one call at a time.

        Raises:
            CommandError: the worker must end; nothing of the batch is published.
        """
        ...


@dataclass(frozen=True, slots=True)
class InFlight:
    """A batch whose outcomes are being made."""

    batch: Batch
    decoding: Sequence[Future[Any]]  # chunk by chunk
    labeling: Future[list[Labeled | DeadLetter]]

    def done(self) -> bool:
        """Whether the outcomes (or an error) are there."""
        return self.labeling.done()

    def wait(self, seconds: float) -> None:
        """Wait until it is done, but not longer than this."""
        concurrent.futures.wait([self.labeling], seconds)

    def settle(self, timeout: float) -> list[Labeled | DeadLetter]:
        """The outcomes: one per record, in order.

        Args:
            timeout: seconds to wait for them at most.

        Raises:
            CommandError: see `Labeler`.
            TimeoutError: they are not there yet.
        """
        return self.labeling.result(timeout)

    def cancel(self) -> None:
        """Drop what has not begun; what has begun ends unseen."""
        self.labeling.cancel()
        for future in self.decoding:
            future.cancel()


class Inference(Generic[D]):
    """The decode pool and the one model thread."""

    def __init__(self, labeler: Labeler[D], metrics: LabelMetrics) -> None:
        """Start the decode pool.

        Args:
            labeler: does the work.
            metrics: where stage times go.
        """
        self._labeler = labeler
        self._metrics = metrics
        self._decoders = each_alone(labeler.threads, "decode")
        self._model = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._busy_since: float | None = None  # in monotonic seconds

    @property
    def is_busy(self) -> bool:
        """Whether a batch is being labelled: the interpreter would wait for its thread before it ends."""
        return self._busy_since is not None

    def busy(self) -> float:
        """Seconds for which the present batch has been labelled; 0 without one."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def start(self, batch: Batch) -> InFlight:
        """Begin to decode and label a batch; a condemned one is a dead letter at once."""
        if batch.condemned:
            outcomes: Future[list[Labeled | DeadLetter]] = Future()
            outcomes.set_result([DeadLetter("poison", "Poison", POISON)])
            return InFlight(batch, [], outcomes)
        decoding = [
            self._decoders.submit(self._decode, batch.records[start : start + self._labeler.at_once])
            for start in range(0, len(batch.records), self._labeler.at_once)
        ]
        return InFlight(batch, decoding, self._model.submit(self._label, decoding))

    def close(self) -> None:
        """Drop what is waiting and let the threads end.

        What the model is busy with it goes on with: see `is_busy`.
        """
        self._model.shutdown(wait=False, cancel_futures=True)
        self._decoders.shutdown(wait=False, cancel_futures=True)

    def _decode(self, records: Sequence[Any]) -> list[D | DeadLetter]:
        return list(self._labeler.decode(records))

    def _label(self, decoding: Sequence[Future[list[D | DeadLetter]]]) -> list[Labeled | DeadLetter]:
        self._busy_since = started = time.monotonic()
        try:
            outcomes = [outcome for chunk in decoding for outcome in chunk.result()]
            decoded_at = time.monotonic()
            self._metrics.stage_seconds.labels("decode").observe(decoded_at - started)
            labeled = self._labeler.label([each for each in outcomes if not isinstance(each, DeadLetter)])
            self._metrics.stage_seconds.labels("encode").observe(time.monotonic() - decoded_at)
        finally:
            self._busy_since = None
        following = iter(labeled)
        return [outcome if isinstance(outcome, DeadLetter) else next(following) for outcome in outcomes]


class PictureLabeler:
    """Posts with their pictures, labelled by a model.

    Args:
        classifier: only the model thread calls its `label`.
        threads: of the decode pool.
        metrics: where text encodings go.
        keeps_vectors: whether a post's vectors are published beside its label.
    """

    at_once = AT_ONCE

    def __init__(self, classifier: Classifier, threads: int, metrics: LabelMetrics, keeps_vectors: bool) -> None:
        self.classifier, self.threads = classifier, threads
        self.metrics, self.keeps_vectors = metrics, keeps_vectors

    def decode(self, records: Sequence[Any]) -> Iterable[Decoded | DeadLetter]:
        """Read posts and decode their pictures."""
        return decode(records, self.classifier)

    def label(self, decoded: Sequence[Decoded]) -> list["LabeledPicture | DeadLetter"]:
        """Label posts; one that the encoder cannot take alone becomes a dead letter.

        Raises:
            BrokenModel: see `survive`.
        """
        model = self.classifier
        outcomes = survive(model, decoded, model.label, lambda error, _: DeadLetter.of("encode_failed", error))
        return [
            outcome if isinstance(outcome, DeadLetter) else LabeledPicture(each.post, outcome, self)
            for each, outcome in zip(decoded, outcomes, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class LabeledPicture:
    """A post and what its picture and caption show."""

    post: Post
    label: Label
    by: PictureLabeler

    def labeled_post(self, record: Any, now: datetime) -> LabeledPost:
        """With the stamps of the classifier."""
        model = self.by.classifier
        return LabeledPost.of(
            self.post, self.label, model.decision, model.encoder_name, model.places_stamp, record, now
        )

    def encoded_post(self, record: Any, now: datetime) -> EncodedPost | None:
        """The vectors, where they are kept."""
        if not self.by.keeps_vectors or self.label.vectors is None:
            return None
        return EncodedPost.of(self.post, self.label, self.label.vectors, self.by.classifier.encoder_name, record, now)

    def record_published(self) -> None:
        """Count what became of the caption."""
        self.by.metrics.text_encodings.labels(CAPTION_OUTCOME[self.label.caption_use]).inc()
