from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace

import pytest
import torch
from kafka import ConsumerGroupMetadata
from prometheus_client import CollectorRegistry

from consumer.classify.classifier import Classifier, Decoded
from consumer.classify.decision import Decision
from consumer.classify.encoders.encoder import Images
from consumer.classify.label import Label
from consumer.classify.survive import BrokenModel
from consumer.dead_letter import DeadLetter
from consumer.label.batch import Batch
from consumer.label.encode import Inference, Labeled, LabeledPicture, PictureLabeler
from consumer.metrics import LabelMetrics
from tests.light import PLACES, LightEncoder
from tests.unit.consumer.classify.failing import OUT_OF_MEMORY, Failing, classifier, decoded, is_green
from tests.unit.consumer.label.records import Record, record
from tests.wire import picture


def batch_of(*records: Record) -> Batch:
    return Batch(records, {}, ConsumerGroupMetadata("g", 1), "size")


def places(outcomes: Sequence[Labeled | DeadLetter]) -> list[str | None]:
    return [o.label.place if isinstance(o, LabeledPicture) else getattr(o, "reason", None) for o in outcomes]


def inference_of(model: Classifier, metrics: LabelMetrics, threads: int = 1) -> Inference[Decoded]:
    return Inference(PictureLabeler(model, threads, metrics, keeps_vectors=False), metrics)


def test_a_post_that_the_model_cannot_take_is_a_dead_letter(metrics: LabelMetrics) -> None:
    model = classifier(Failing(lambda batch: any(map(is_green, batch)), OUT_OF_MEMORY))

    labeler = PictureLabeler(model, 1, metrics, keeps_vectors=False)
    red, green, blue = labeler.label(decoded(model, "red", "lime", "blue"))

    assert places([red, green, blue]) == ["red", "encode_failed", "blue"]
    assert isinstance(green, DeadLetter)
    assert green.stage == "encode"
    assert "out of memory" in green.message


def test_a_condemned_record_is_a_dead_letter_that_nobody_tries(metrics: LabelMetrics) -> None:
    inference = inference_of(classifier(Failing(lambda _: True, OUT_OF_MEMORY)), metrics)
    flight = inference.start(replace(batch_of(record(0, picture("red"))), condemned=True))

    (dead,) = flight.settle(0)
    inference.close()

    assert isinstance(dead, DeadLetter)
    assert (dead.stage, dead.reason) == ("encode", "poison")


@pytest.fixture
def metrics() -> LabelMetrics:
    return LabelMetrics(CollectorRegistry())


def test_outcomes_keep_the_order_of_the_records(metrics: LabelMetrics) -> None:
    records = [
        record(0, picture("red")),
        record(1, b"no picture at all"),
        record(2, picture("blue"), headers=[]),
        record(3, picture("lime")),
    ]
    inference = inference_of(classifier(LightEncoder()), metrics, 2)

    flight = inference.start(batch_of(*records))
    outcomes = flight.settle(30)
    inference.close()

    assert places(outcomes) == ["red", "not_an_image", "bad_record", "green"]
    assert [o.post.post_id for o in outcomes if isinstance(o, LabeledPicture)] == ["0", "3"]


def test_text_encodings_are_counted_by_what_became_of_the_caption_once_they_are_published(
    metrics: LabelMetrics,
) -> None:
    encoder = LightEncoder()
    records = [
        record(0, picture("red"), caption="so sure that nobody asks"),
        record(1, picture((90, 100, 90)), caption="is it green?"),
        record(2, picture((90, 100, 90))),
    ]
    inference = inference_of(classifier(encoder), metrics)

    settled = inference.start(batch_of(*records)).settle(30)
    inference.close()

    def counted() -> list[float]:
        return [metrics.text_encodings.labels(o)._value.get() for o in ("done", "skipped", "no_caption")]

    assert counted() == [0, 0, 0], "a batch that is not committed comes again"
    for labeled in settled:
        assert not isinstance(labeled, DeadLetter)
        labeled.record_published()
    assert counted() == [1, 1, 1]
    assert encoder.captions == ["is it green?"]


def test_a_batch_of_bad_records_only_never_reaches_the_encoder(metrics: LabelMetrics) -> None:
    encoder = Failing(lambda _: True, AssertionError("it was asked"))
    inference = inference_of(classifier(encoder), metrics)

    flight = inference.start(batch_of(record(0, b""), record(1, None)))

    assert places(flight.settle(30)) == ["bad_record", "bad_record"]
    assert encoder.sizes == []
    inference.close()


def test_a_model_thread_that_dies_is_a_broken_model_whatever_code_it_ends_with(metrics: LabelMetrics) -> None:
    class Dying(LightEncoder):
        def encode_images(self, prepared: Sequence[torch.Tensor]) -> Images:
            raise SystemExit(0)

    inference = inference_of(classifier(Dying()), metrics)

    flight = inference.start(batch_of(record(0, picture("red"))))

    with pytest.raises(BrokenModel, match=r"the encoder light ended its thread: SystemExit\(0\)"):
        flight.settle(30)
    inference.close()


class Blocking(Classifier):
    """Labels nothing before it is released."""

    def __init__(self, encoder: LightEncoder) -> None:
        super().__init__(encoder, PLACES, Decision(threshold=0.4))
        self.released: Future[None] = Future()

    def label(self, batch: Sequence[Decoded]) -> list[Label]:
        self.released.result(30)
        return super().label(batch)


def test_a_batch_is_decoded_while_the_one_before_it_is_in_the_model(metrics: LabelMetrics) -> None:
    model = Blocking(LightEncoder())
    inference = inference_of(model, metrics)
    first = inference.start(batch_of(record(0, picture("red"))))

    second = inference.start(batch_of(record(1, picture("blue"))))
    for decoding in second.decoding:
        decoding.result(30)
    began_second = first.done()
    model.released.set_result(None)

    assert not began_second
    assert places([*first.settle(30), *second.settle(30)]) == ["red", "blue"]
    inference.close()


def test_a_cancelled_batch_is_never_begun(metrics: LabelMetrics) -> None:
    encoder = Failing(lambda _: False, OUT_OF_MEMORY)
    model = Blocking(encoder)
    inference = inference_of(model, metrics)
    first = inference.start(batch_of(record(0, picture("red"))))
    second = inference.start(batch_of(record(1, picture("red")), record(2, picture("red"))))

    second.cancel()
    model.released.set_result(None)
    first.settle(30)
    inference.close()

    assert encoder.sizes == [1]
    assert second.labeling.cancelled()
