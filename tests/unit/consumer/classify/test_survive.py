import weakref
from collections.abc import Sequence

import pytest
import torch

from consumer.classify.classifier import Classifier, Decoded
from consumer.classify.encoders.encoder import Images
from consumer.classify.survive import BrokenModel, survive
from tests.light import LightEncoder
from tests.unit.consumer.classify.failing import OUT_OF_MEMORY, Failing, classifier, decoded, is_green


def labelled(model: Classifier, batch: Sequence[Decoded]) -> list[str | None]:
    """The place of each post; ``failed`` where there is none."""
    outcomes = survive(model, batch, model.label, lambda error, decoded: "failed")
    return [outcome if isinstance(outcome, str) else outcome.place for outcome in outcomes]


def test_a_batch_that_does_not_fit_is_halved_until_it_does() -> None:
    encoder = Failing(lambda batch: len(batch) > 2, OUT_OF_MEMORY)
    model = classifier(encoder)

    outcomes = labelled(model, decoded(model, "red", "lime", "blue", "darkred", "navy"))

    assert outcomes == ["red", "green", "blue", "red", "blue"]
    assert max(encoder.sizes) == 5
    assert encoder.sizes[-1] <= 2


def test_what_did_not_fit_is_freed_before_its_halves_are_tried() -> None:
    class Greedy(LightEncoder):
        held: weakref.ref[torch.Tensor] | None = None
        was_free: list[bool] = []

        def encode_images(self, prepared: Sequence[torch.Tensor]) -> Images:
            if self.held is not None:
                self.was_free.append(self.held() is None)
            activations = torch.zeros(1)
            self.held = weakref.ref(activations)
            if len(prepared) > 1:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().encode_images(prepared)

    encoder = Greedy()
    model = classifier(encoder)

    assert labelled(model, decoded(model, "red", "lime", "blue")) == ["red", "green", "blue"]
    assert encoder.was_free == [True] * 4


@pytest.mark.parametrize("error", [OUT_OF_MEMORY, ValueError("a strange picture"), MemoryError()])
def test_a_post_that_fails_alone_is_told_with_its_error_and_its_neighbours_are_labelled(error: Exception) -> None:
    model = classifier(Failing(lambda batch: any(map(is_green, batch)), error))

    batch = decoded(model, "red", "lime", "blue")
    red, green, blue = survive(model, batch, model.label, lambda error, decoded: (error, decoded))

    assert green == (error, batch[1])
    assert [getattr(label, "place", None) for label in (red, blue)] == ["red", "blue"]


@pytest.mark.parametrize("colours", [["lime"], ["lime", "green", "lime"]])
def test_posts_that_all_fail_are_told_as_long_as_the_model_works(colours: list[str]) -> None:
    model = classifier(Failing(lambda batch: any(is_green(each) for each in batch), OUT_OF_MEMORY))

    assert labelled(model, decoded(model, *colours)) == ["failed"] * len(colours)


@pytest.mark.parametrize("colours", [["red"], ["red", "blue"]])
def test_a_model_that_fails_on_a_picture_of_our_own_as_well_is_broken(colours: list[str]) -> None:
    model = classifier(Failing(lambda _: True, OUT_OF_MEMORY))

    with pytest.raises(BrokenModel, match="fails on every post: OutOfMemoryError"):
        labelled(model, decoded(model, *colours))


def test_a_lost_device_is_not_tried_again() -> None:
    encoder = Failing(lambda _: True, RuntimeError("CUDA error: an illegal memory access was encountered"))
    model = classifier(encoder)

    with pytest.raises(BrokenModel, match="only a restart"):
        labelled(model, decoded(model, "red", "blue"))
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

    assert len(labelled(model, decoded(model, "red", "blue"))) == 2
    assert encoder.sizes == [2, 1, 1]


def test_an_encoder_that_returns_another_number_of_vectors_is_a_broken_model() -> None:
    class Short(LightEncoder):
        def encode_images(self, prepared: Sequence[torch.Tensor]) -> Images:
            return Images(super().encode_images(prepared).vectors[:-1])

    model = classifier(Short())

    with pytest.raises(BrokenModel, match="a bug: .*1 vectors for 2"):
        labelled(model, decoded(model, "red", "blue"))
