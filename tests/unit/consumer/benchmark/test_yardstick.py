"""The authors' own way, which the pipeline is compared with, has none of what is chosen for the pipeline."""

import json
from pathlib import Path

import open_clip
import pytest
import torch

from consumer.classify.classifier import Classifier
from consumer.classify.decision import Decision
from consumer.classify.encoders.open_clip import OpenClip
from producer.post import Post
from tests.light import PLACES, LightEncoder
from tests.unit.consumer.classify.conftest import TINY
from tests.wire import picture


def test_pillow_decodes_its_pictures() -> None:
    decoded: list[bytes] = []

    def decode(data: bytes) -> torch.Tensor:
        decoded.append(data)
        return torch.zeros(3, 8, 8, dtype=torch.uint8)

    classifier = Classifier(LightEncoder(), PLACES, Decision(threshold=0.4), decode_jpeg=decode)
    post = Post("1", "rome", picture("red", kind="JPEG"))

    classifier.as_published().decode_all([post])
    assert decoded == []
    classifier.decode_all([post])
    assert decoded == [post.picture]


def test_its_batches_are_not_padded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiny-yardstick.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(tmp_path)
    monkeypatch.setattr("torch.compile", lambda encode, dynamic: encode)
    compiled = OpenClip("tiny-yardstick", "random", compiled=True)

    published = compiled.as_published()

    assert (compiled._device.rows(3), published._device.rows(3)) == (32, 3)
