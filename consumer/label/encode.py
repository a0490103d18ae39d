"""Stage `encode`: batches in flight. The decode pool feeds one model thread, which labels batch after batch."""

import concurrent.futures
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from consumer.classify.classifier import Classifier, Decoded
from consumer.classify.compute.cores import each_alone
from consumer.classify.label import Label
from consumer.classify.pictures.pool import AT_ONCE
from consumer.classify.survive import survive
from consumer.dead_letter import DeadLetter
from consumer.label.batch import Batch
from consumer.label.decode import decode
from consumer.label.trial import MOST_DEATHS
from consumer.metrics import LabelMetrics
from producer.post import Post

CAPTION_OUTCOME = {"encoded": "done", "skipped": "skipped", "none": "no_caption"}
"""What became of a caption, as the closed label of ``text_encodings_total``."""


POISON = f"{MOST_DEATHS} workers died, each while it had this record alone: killed, out of memory, or hanging"


@dataclass(frozen=True, slots=True)
class Labeled:
    """A post and its label."""

    post: Post
    label: Label


@dataclass(frozen=True, slots=True)
class InFlight:
    """A batch whose outcomes are being made."""

    batch: Batch
    decoding: list[Future[list[Decoded | DeadLetter]]]  # chunk by chunk
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
            BrokenModel: see `survive`.
            TimeoutError: they are not there yet.
        """
        return self.labeling.result(timeout)

    def cancel(self) -> None:
        """Drop what has not begun; what has begun ends unseen."""
        self.labeling.cancel()
        for future in self.decoding:
            future.cancel()


class Inference:
    """The decode pool and the one model thread."""

    def __init__(self, classifier: Classifier, decode_threads: int, metrics: LabelMetrics) -> None:
        """Start the decode pool.

        Args:
            classifier: labels posts; only the model thread calls its `label`.
            decode_threads: threads of the decode pool.
            metrics: where stage times and text encodings go.
        """
        self._classifier = classifier
        self._metrics = metrics
        self._decoders = each_alone(decode_threads, "decode")
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
            self._decoders.submit(self._decode, batch.records[start : start + AT_ONCE])
            for start in range(0, len(batch.records), AT_ONCE)
        ]
        return InFlight(batch, decoding, self._model.submit(self._label, decoding))

    def close(self) -> None:
        """Drop what is waiting and let the threads end.

        What the model is busy with it goes on with: see `is_busy`.
        """
        self._model.shutdown(wait=False, cancel_futures=True)
        self._decoders.shutdown(wait=False, cancel_futures=True)

    def _decode(self, records: Sequence[Any]) -> list[Decoded | DeadLetter]:
        return list(decode(records, self._classifier))

    def _label(self, decoding: Sequence[Future[list[Decoded | DeadLetter]]]) -> list[Labeled | DeadLetter]:
        self._busy_since = started = time.monotonic()
        try:
            outcomes = [outcome for chunk in decoding for outcome in chunk.result()]
            decoded_at = time.monotonic()
            self._metrics.stage_seconds.labels("decode").observe(decoded_at - started)
            labeled = label_batch(self._classifier, [o for o in outcomes if isinstance(o, Decoded)])
            self._metrics.stage_seconds.labels("encode").observe(time.monotonic() - decoded_at)
        finally:
            self._busy_since = None
        for outcome in labeled:
            if isinstance(outcome, Labeled):
                self._metrics.text_encodings.labels(CAPTION_OUTCOME[outcome.label.caption_use]).inc()
        following = iter(labeled)
        return [outcome if isinstance(outcome, DeadLetter) else next(following) for outcome in outcomes]


def label_batch(classifier: Classifier, batch: Sequence[Decoded]) -> list[Labeled | DeadLetter]:
    """Label decoded posts; one that the encoder cannot take alone becomes a dead letter.

    Returns:
        One outcome per post, in order.

    Raises:
        BrokenModel: see `survive`.
    """
    outcomes = survive(classifier, batch, classifier.label, lambda error, _: DeadLetter.of("encode_failed", error))
    return [
        outcome if isinstance(outcome, DeadLetter) else Labeled(decoded.post, outcome)
        for decoded, outcome in zip(batch, outcomes, strict=True)
    ]
