"""An encoder that cannot take some batches, and posts for it."""

from collections.abc import Callable, Sequence

import torch

from consumer.classify.classifier import Classifier, Decoded
from consumer.classify.decision import Decision
from consumer.classify.encoders.encoder import Images
from producer.post import Post
from tests.light import PLACES, LightEncoder
from tests.wire import picture


class Failing(LightEncoder):
    """Raises `error` for every batch that `refuses` says it cannot take."""

    def __init__(self, refuses: Callable[[Sequence[torch.Tensor]], bool], error: Exception) -> None:
        super().__init__()
        self.refuses, self.error = refuses, error

    def encode_images(self, prepared: Sequence[torch.Tensor]) -> Images:
        images = super().encode_images(prepared)
        if self.refuses(prepared):
            raise self.error
        return images


OUT_OF_MEMORY = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB")


def classifier(encoder: LightEncoder) -> Classifier:
    return Classifier(encoder, PLACES, Decision(threshold=0.4))


def decoded(classifier: Classifier, *colours: str) -> list[Decoded]:
    return classifier.decode_all([Post(str(number), "london", picture(c)) for number, c in enumerate(colours)])


def is_green(prepared: torch.Tensor) -> bool:
    return bool(prepared[1].float().mean() > 100)
