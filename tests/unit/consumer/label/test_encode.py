import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest
import torch
from kafka import ConsumerGroupMetadata
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from consumer.classify.classifier import Classifier, Decoded
from consumer.classify.decision import Decision
from consumer.classify.label import Label
from consumer.dead_letter import DeadLetter
from consumer.label.batch import Batch
from consumer.label.encode import BrokenModel, Inference, Labeled, label_batch
from consumer.metrics import LabelMetrics
from producer.post import Post
from tests.light import PLACES, LightEncoder
from tests.unit.consumer.label.records import Record, record
from tests.wire import picture


class Failing(LightEncoder):
    """Raises `error` for every batch that `refuses` says it cannot take."""

    def __init__(self, refuses: Callable[[Sequence[torch.Tensor]], bool], error: Exception) -> None:
        super().__init__()
        self.refuses, self.error = refuses, error
        self.sizes: list[int] = []

    def encode_images(self, prepared: Sequence[torch.Tensor]) -> NDArray[Any]:
        self.sizes.append(len(prepared))
        if self.refuses(prepared):
            raise self.error
        return super().encode_images(prepared)


OUT_OF_MEMORY = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB")


def batch_of(*records: Record) -> Batch:
    return Batch(records, {}, ConsumerGroupMetadata("g", 1), "size")


def classifier(encoder: LightEncoder) -> Classifier:
    return Classifier(encoder, PLACES, Decision(threshold=0.4))


def decoded(classifier: Classifier, *colours: str) -> list[Decoded]:
    return classifier.decode_all([Post(str(number), "london", picture(c)) for number, c in enumerate(colours)])


def places(outcomes: Sequence[Labeled | DeadLetter]) -> list[str | None]:
    return [o.label.place if isinstance(o, Labeled) else o.reason for o in outcomes]


def is_green(prepared: torch.Tensor) -> bool:
    return bool(prepared[1].float().mean() > 100)


def test_a_batch_that_does_not_fit_is_halved_until_it_does() -> None:
    encoder = Failing(lambda batch: len(batch) > 2, OUT_OF_MEMORY)
    model = classifier(encoder)

    outcomes = label_batch(model, decoded(model, "red", "lime", "blue", "darkred", "navy"))

    assert places(outcomes) == ["red", "green", "blue", "red", "blue"]
    assert max(encoder.sizes) == 5
    assert encoder.sizes[-1] <= 2


def test_what_did_not_fit_is_freed_before_its_halves_are_tried() -> None:
    class Greedy(LightEncoder):
        held: weakref.ref[torch.Tensor] | None = None
        was_free: list[bool] = []

        def encode_images(self, prepared: Sequence[torch.Tensor]) -> NDArray[Any]:
            if self.held is not None:
                self.was_free.append(self.held() is None)
            activations = torch.zeros(1)
            self.held = weakref.ref(activations)
            if len(prepared) > 1:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().encode_images(prepared)

    encoder = Greedy()
    model = classifier(encoder)

    assert places(label_batch(model, decoded(model, "red", "lime", "blue"))) == ["red", "green", "blue"]
    assert encoder.was_free == [True] * 4


def test_a_post_that_fails_alone_is_a_dead_letter_and_its_neighbours_are_labelled() -> None:
    encoder = Failing(lambda batch: any(map(is_green, batch)), OUT_OF_MEMORY)
    model = classifier(encoder)

    outcomes = label_batch(model, decoded(model, "red", "lime", "blue"))

    assert places(outcomes) == ["red", "encode_failed", "blue"]
    dead = outcomes[1]
    assert isinstance(dead, DeadLetter)
    assert dead.stage == "encode"
    assert "out of memory" in dead.message


@pytest.mark.parametrize("colours", [["lime"], ["lime", "green", "lime"]])
def test_posts_that_all_fail_are_dead_letters_as_long_as_the_model_works(colours: list[str]) -> None:
    model = classifier(Failing(lambda batch: any(is_green(each) for each in batch), OUT_OF_MEMORY))

    assert places(label_batch(model, decoded(model, *colours))) == ["encode_failed"] * len(colours)


@pytest.mark.parametrize("colours", [["red"], ["red", "blue"]])
def test_a_model_that_fails_on_a_picture_of_our_own_as_well_is_broken(colours: list[str]) -> None:
    model = classifier(Failing(lambda _: True, OUT_OF_MEMORY))

    with pytest.raises(BrokenModel, match="fails on every post: OutOfMemoryError"):
        label_batch(model, decoded(model, *colours))


def test_a_condemned_record_is_a_dead_letter_that_nobody_tries(metrics: LabelMetrics) -> None:
    inference = Inference(classifier(Failing(lambda _: True, OUT_OF_MEMORY)), 1, metrics)
    flight = inference.start(replace(batch_of(record(0, picture("red"))), condemned=True))

    (dead,) = flight.settle(0)
    inference.close()

    assert isinstance(dead, DeadLetter)
    assert (dead.stage, dead.reason) == ("encode", "poison")


def test_a_lost_device_is_not_tried_again() -> None:
    encoder = Failing(lambda _: True, RuntimeError("CUDA error: an illegal memory access was encountered"))
    model = classifier(encoder)

    with pytest.raises(BrokenModel, match="only a restart"):
        label_batch(model, decoded(model, "red", "blue"))
    assert encoder.sizes == [2]


@pytest.mark.parametrize(
    "said",
    [
        "CUDA error: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "CUDA out of memory. Tried to allocate 96.00 MiB.",
    ],
)
def test_a_device_without_memory_is_not_lost(said: str) -> None:
    encoder = Failing(lambda prepared: len(prepared) > 1, RuntimeError(said))
    model = classifier(encoder)

    assert len(label_batch(model, decoded(model, "red", "blue"))) == 2
    assert encoder.sizes == [2, 1, 1]


def test_an_encoder_that_returns_another_number_of_vectors_ends_the_worker() -> None:
    class Short(LightEncoder):
        def encode_images(self, prepared: Sequence[torch.Tensor]) -> NDArray[Any]:
            return super().encode_images(prepared)[:-1]

    model = classifier(Short())

    with pytest.raises(BrokenModel, match="a bug"):
        label_batch(model, decoded(model, "red", "blue"))


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
    inference = Inference(classifier(LightEncoder()), 2, metrics)

    flight = inference.start(batch_of(*records))
    outcomes = flight.settle(30)
    inference.close()

    assert places(outcomes) == ["red", "not_an_image", "bad_record", "green"]
    assert [o.post.post_id for o in outcomes if isinstance(o, Labeled)] == ["0", "3"]


def test_text_encodings_are_counted_by_what_became_of_the_caption(metrics: LabelMetrics) -> None:
    encoder = LightEncoder()
    records = [
        record(0, picture("red"), caption="so sure that nobody asks"),
        record(1, picture((90, 100, 90)), caption="is it green?"),
        record(2, picture((90, 100, 90))),
    ]
    inference = Inference(classifier(encoder), 1, metrics)

    inference.start(batch_of(*records)).settle(30)
    inference.close()

    counted = {o: metrics.text_encodings.labels(o)._value.get() for o in ("done", "skipped", "no_caption")}
    assert counted == {"done": 1, "skipped": 1, "no_caption": 1}
    assert encoder.captions == ["is it green?"]


def test_a_batch_of_bad_records_only_never_reaches_the_encoder(metrics: LabelMetrics) -> None:
    encoder = Failing(lambda _: True, AssertionError("it was asked"))
    inference = Inference(classifier(encoder), 1, metrics)

    flight = inference.start(batch_of(record(0, b""), record(1, None)))

    assert places(flight.settle(30)) == ["bad_record", "bad_record"]
    assert encoder.sizes == []
    inference.close()


def test_a_model_thread_that_dies_is_a_broken_model_whatever_code_it_ends_with(metrics: LabelMetrics) -> None:
    class Dying(LightEncoder):
        def encode_images(self, prepared: Sequence[torch.Tensor]) -> NDArray[Any]:
            raise SystemExit(0)

    inference = Inference(classifier(Dying()), 1, metrics)

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
    inference = Inference(model, 1, metrics)
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
    inference = Inference(model, 1, metrics)
    first = inference.start(batch_of(record(0, picture("red"))))
    second = inference.start(batch_of(record(1, picture("red")), record(2, picture("red"))))

    second.cancel()
    model.released.set_result(None)
    first.settle(30)
    inference.close()

    assert encoder.sizes == [1]
    assert second.labeling.cancelled()
