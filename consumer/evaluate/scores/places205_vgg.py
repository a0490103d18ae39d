"""A VGG16 trained on Places205, from a checkpoint on the disk: its network, its names of weights, its preprocessing.

Its 205 outputs are in the official order (categoryIndex_places205), which is also the order of the packaged label set.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import nn
from torchvision.models import VGG16_Weights, vgg16

from consumer.classify.survive import one_line
from producer.base.errors import CommandError

OUTPUTS = 205
RESIZED, CROPPED = 256, 224

Preprocessing = Literal["imagenet", "caffe"]

CAFFE_MEAN = (105.487823486, 113.741088867, 116.060394287)
"""Blue, green, red: the means of Places205, as its VGG16 was trained (the model's own 224 x 224 deployment)."""

CAFFE_NAMES = {
    f"conv{block}_{number}": f"features.{index}"
    for index, (block, number) in zip(
        (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
        ((block, number) for block, layers in enumerate((2, 2, 3, 3, 3), 1) for number in range(1, layers + 1)),
        strict=True,
    )
} | {"fc6": "classifier.0", "fc7": "classifier.3", "fc8": "classifier.6"}
"""Caffe's names of the layers that have weights, and torchvision's."""


def build_vgg16() -> nn.Module:
    """The network without its weights (it lies on no device)."""
    with torch.device("meta"):
        network: nn.Module = vgg16(num_classes=OUTPUTS, init_weights=False)
    return network


def load_network(checkpoint: Path, build: Callable[[], nn.Module] = build_vgg16) -> nn.Module:
    """The network with a checkpoint's weights, ready to predict.

    Args:
        checkpoint: a state dict as ``torch.save`` writes it, alone or under ``state_dict``; torchvision's names or
            Caffe's, behind any prefix (``module.``, ``model.``).
        build: the network; another one in tests.

    Raises:
        CommandError: the file cannot be read, or its weights are those of another network.
    """
    weights = _named(_read(checkpoint), checkpoint)
    network = build()
    try:
        network.load_state_dict({name: weight.float() for name, weight in weights.items()}, assign=True)
    except RuntimeError as error:  # it names what is missing, what is too much, and what has another shape
        raise CommandError(f"{checkpoint} is no VGG16 with {OUTPUTS} outputs: {one_line(error)}") from None
    return network.eval()


imagenet: Callable[[Image.Image], torch.Tensor] = VGG16_Weights.IMAGENET1K_V1.transforms()
"""As torchvision's models are fed: short side 256, the middle 224, RGB in [0, 1], normalised; ``[3, 224, 224]``."""


def caffe(picture: Image.Image) -> torch.Tensor:
    """As Caffe's models are fed: squeezed to 256 x 256, the middle 224, BGR in [0, 255] less the mean."""
    resized = picture.resize((RESIZED, RESIZED), Image.Resampling.BILINEAR)
    border = (RESIZED - CROPPED) // 2
    levels = np.asarray(resized, np.float32)[border:-border, border:-border, ::-1] - np.array(CAFFE_MEAN, np.float32)
    return torch.from_numpy(np.ascontiguousarray(levels.transpose(2, 0, 1)))


PREPROCESSING: dict[Preprocessing, Callable[[Image.Image], torch.Tensor]] = {"imagenet": imagenet, "caffe": caffe}


def _read(checkpoint: Path) -> Mapping[str, torch.Tensor]:
    if not checkpoint.is_file():
        raise CommandError(f"--checkpoint {checkpoint}: no such file")
    try:
        found: Any = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises anything, from EOFError to UnpicklingError, on what is no checkpoint
        message = str(error).strip().partition("\n")[0][:200] or type(error).__name__
        raise CommandError(f"{checkpoint} is no checkpoint of weights alone: {message}") from None
    for key in ("state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not all(isinstance(weight, torch.Tensor) for weight in found.values()):
        raise CommandError(f"{checkpoint} is no state dict: names and their weights")
    return found


def _named(weights: Mapping[str, torch.Tensor], checkpoint: Path) -> dict[str, torch.Tensor]:
    """The weights by torchvision's names."""
    named: dict[str, torch.Tensor] = {}
    for name, weight in weights.items():
        parts = [part for part in name.split(".") if part != "module"]
        start = next((index for index, part in enumerate(parts) if part in ("features", "classifier")), None)
        if start is not None:
            own = ".".join(parts[start:])
        elif len(parts) > 1 and (layer := CAFFE_NAMES.get(re.sub(r"^(fc8).*", r"\1", parts[-2]))):
            own = f"{layer}.{parts[-1]}"
        else:
            own = name
        if own in named:
            raise CommandError(f"{checkpoint} is no VGG16: it has {own} twice")
        named[own] = weight
    return named
