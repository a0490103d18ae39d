"""Encoders for the tests: a light one whose mind is easy to read, and the real ones, loaded once."""

import json
from pathlib import Path

import open_clip
import pytest
import torch

from consumer.classify.encoders.conse import Conse
from consumer.classify.encoders.open_clip import OpenClip
from tests.light import LightEncoder

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


@pytest.fixture
def light() -> LightEncoder:
    return LightEncoder()


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
