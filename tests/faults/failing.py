"""`tests.light` whose encoder fails: these faults exist only here.

`python -m tests.faults.failing FLAGS…`; FAULTS_ENCODER says how, one of the five below.
"""

import os
import signal
import threading
from collections.abc import Callable, Sequence

import torch

from consumer.classify.classifier import Classifier
from consumer.classify.encoders.encoder import Images
from consumer.label.settings import LabelSettings
from tests.light import LightEncoder, light_classifier, run
from tests.wire import picture

SMALL = "has too little memory for five pictures or one huge one"
ENDS = "ends its thread"
HANGS = "never comes back"
DIES_OF_IT = "is killed by a deadly picture"
HANGS_OF_IT = "never comes back from a deadly picture"
FAULT = os.environ.get("FAULTS_ENCODER")
ROOM = 4
"""Pictures that fit into the memory of a small encoder at once."""
HUGE_COLOUR = (255, 0, 255)
HUGE = picture(HUGE_COLOUR)
"""Stands for a picture that fits into no memory."""
DEADLY_COLOUR = (255, 255, 0)
DEADLY = picture(DEADLY_COLOUR)
"""Stands for a picture that the encoder's libraries do not survive."""
BATCHES = 10
"""Batches that are encoded well before the encoder ends its thread or never comes back."""


class FailingEncoder(LightEncoder):
    def __init__(self) -> None:
        super().__init__()
        self._batches = 0

    def encode_images(self, prepared: Sequence[torch.Tensor]) -> Images:
        self._batches += 1
        if FAULT == DIES_OF_IT and any(is_all(each, DEADLY_COLOUR) for each in prepared):
            os.kill(os.getpid(), signal.SIGKILL)
        if FAULT == HANGS_OF_IT and any(is_all(each, DEADLY_COLOUR) for each in prepared):
            threading.Event().wait()
        if FAULT == SMALL and (len(prepared) > ROOM or any(is_all(each, HUGE_COLOUR) for each in prepared)):
            print(f"out of memory: {len(prepared)} pictures", flush=True)
            raise torch.OutOfMemoryError("out of memory")
        if FAULT in (ENDS, HANGS) and self._batches > BATCHES:
            print(f"reached: {FAULT}", flush=True)
            if FAULT == HANGS:
                threading.Event().wait()
            raise SystemExit
        return super().encode_images(prepared)


def is_all(prepared: torch.Tensor, colour: tuple[int, int, int]) -> bool:
    return tuple(prepared.float().mean((1, 2)).tolist()) == colour


def failing_classifier(settings: LabelSettings, observe: Callable[[str, float], None]) -> Classifier:
    return light_classifier(settings, observe, FailingEncoder())


if __name__ == "__main__":
    run(failing_classifier)
