"""`label` with a light encoder that tells three places by colour. Worker, records and transactions are real.

`python -m tests.light FLAGS…` is `python -m consumer label FLAGS…` without a model to load.
"""

import os
import re
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from consumer.classify.classifier import Classifier
from consumer.classify.encoders.encoder import Images
from consumer.classify.factory import decision_of
from consumer.classify.places import Place, Places
from consumer.label import label
from consumer.label import run as running
from consumer.label.assemble import assemble
from consumer.label.settings import LabelSettings
from producer.base.errors import CommandError

COLOURS = ("red", "green", "blue")
COLD = ("green", "blue")
PLACES = Places("colours", tuple(Place(each, each, synonyms=COLD if each in COLD else ()) for each in COLOURS))
"""A grey picture is neither, but the two of three: `green|blue`."""


class LightEncoder:
    """A picture's vector is its mean colour, a text's the colours that it names."""

    name = identity = "light"
    image_logit_scale = 8.0
    text_logit_scale = 8.0
    default_threshold = 0.4
    default_templates: tuple[str, ...] = ("{wording}",)

    def __init__(self) -> None:
        self.captions: list[str] = []  # the last that were encoded
        self.sizes: list[int] = []  # of the last batches of pictures
        self.hurry = threading.Event()  # ends the waiting that a caption "takes 20 s" asks for

    def prepare(self, levels: torch.Tensor) -> torch.Tensor:
        return levels

    def encode_images(self, prepared: Sequence[torch.Tensor]) -> Images:
        self.sizes = [*self.sizes, len(prepared)][-100:]
        return Images(_unit(np.stack([picture.float().mean((1, 2)).numpy() for picture in prepared])))

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        for text in texts:
            if slow := re.search(r"takes (\d+) s", text):
                for _ in range(10 * int(slow[1])):  # of its own time: a worker that stands still does no work
                    self.hurry.wait(0.1)
        self.captions = [*self.captions, *texts][-100:]
        return self.encode_prompts(texts)

    def encode_prompts(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        return _unit(np.array([[float(colour in prompt) for colour in COLOURS] for prompt in prompts]))

    def encode_query(self, words: str) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = self.encode_prompts([words])[0]
        return vector

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def as_published(self) -> "LightEncoder":
        return self


def _unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    grey = vectors.astype(np.float32) + 1e-3
    return np.asarray(grey / np.linalg.norm(grey, axis=1, keepdims=True), dtype=np.float32)


def light_classifier(
    settings: LabelSettings, observe: Callable[[str, float], None], encoder: LightEncoder | None = None
) -> Classifier:
    """The classifier of the light encoder, with the settings' decision and limits."""
    encoder = encoder or LightEncoder()
    decision = decision_of(settings, encoder, PLACES)
    return Classifier(encoder, PLACES, decision, settings.limits(), observe=observe)


def run(build: Callable[..., Classifier] = light_classifier, **stages: Any) -> NoReturn:
    """`label` as a program, with a test's own classifier and some stages of its own: see `assemble`."""
    patch = pytest.MonkeyPatch()
    patch.setattr(label, "build_classifier", build)
    patch.setattr(running, "assemble", partial(assemble, **stages))
    if "TESTS_ROUNDING" in os.environ:
        from tests.rounding import round_otherwise

        round_otherwise(patch)
    end_as_program(label.main)


def end_as_program(main: Callable[[list[str]], int]) -> NoReturn:
    """Run a command with this process's own flags."""
    try:
        sys.exit(main(sys.argv[1:]))
    except CommandError as error:
        print(f"light: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    run()
