"""Encoders for the tests: a fake one whose mind is easy to read, and the real ones, loaded once."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from numpy.typing import NDArray

from consumer.classify.encoders.conse import Conse
from consumer.classify.encoders.open_clip import OpenClip

TEXT_TOWER = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
TINY = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 32, "head_width": 16, "patch_size": 32},
    "text_cfg": TEXT_TOWER,
}
TINY_MODELS = {
    "tiny": TINY,
    "tiny-custom-text": {**TINY, "custom_text": True},
    # as SigLIP's projection
    "tiny-biased": {**TINY, "text_cfg": {**TEXT_TOWER, "proj_bias": True}},
    # as SigLIP's: every token sees every other, the vector is the last token's
    "tiny-bidirectional": {
        **TINY,
        "custom_text": True,
        "text_cfg": {**TEXT_TOWER, "no_causal_mask": True, "pool_type": "last"},
    },
}


class ColourEncoder:
    """Sees the mean colour of a picture, reads the words red, green and blue, and counts what it is asked."""

    name = "colours"
    image_logit_scale = 10.0
    text_logit_scale = 10.0
    default_threshold = 0.5
    default_templates: tuple[str, ...] = ("a photo of {wording}",)

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.batches: list[int] = []

    def prepare(self, levels: torch.Tensor) -> torch.Tensor:
        return levels.float().mean((1, 2))

    def encode_images(self, prepared: Sequence[torch.Tensor]) -> NDArray[np.float32]:
        self.batches.append(len(prepared))
        return _unit(np.stack([one.numpy().reshape(3) for one in prepared]))

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.texts.extend(texts)
        return self.encode_prompts(texts)

    def encode_prompts(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        return _unit(np.array([[word in prompt for word in ("red", "green", "blue")] for prompt in prompts]))

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def as_published(self) -> "ColourEncoder":
        return self


def _unit(vectors: NDArray[np.generic]) -> NDArray[np.float32]:
    vectors = vectors.astype(np.float32) + 1e-3
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


@pytest.fixture
def colours() -> ColourEncoder:
    return ColourEncoder()


@pytest.fixture(scope="session")
def conse() -> Conse:
    return Conse()


@pytest.fixture(scope="session")
def vit_b_32() -> OpenClip:
    torch.manual_seed(205)
    return OpenClip("ViT-B-32", "random")


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Names of small architectures that open_clip knows from here on."""
    folder: Path = tmp_path_factory.mktemp("model_configs")
    for name, config in TINY_MODELS.items():
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    return tuple(TINY_MODELS)
