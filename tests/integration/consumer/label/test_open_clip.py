"""open_clip runs the whole way: a checkpoint on disk labels real pictures through Kafka."""

from pathlib import Path

import open_clip
import pytest
import torch

from consumer.labeled_post import LabeledPost
from deploy.local.stack import Stack
from producer.sample import write_sample
from tests.conftest import RunCli, Topics
from tests.integration.consumer.label.conftest import ONCE
from tests.wire import read_all


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ViT-B-32 with random weights, saved as a training run saves it."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("checkpoint") / "vit-b-32.pt"
    torch.save({"state_dict": open_clip.create_model("ViT-B-32", pretrained=None).state_dict()}, path)
    return path


def test_a_checkpoint_on_disk_labels_posts_through_kafka(
    stack: Stack, topics: Topics, run_cli: RunCli, tmp_path: Path, checkpoint: Path
) -> None:
    write_sample(tmp_path / "sample", None)
    sent = run_cli("producer", "replay", str(tmp_path / "sample"), "--limit", "40", env=topics.environment)
    assert sent.returncode == 0, sent.stderr

    ended = run_cli("consumer", "label", "--pretrained", str(checkpoint), *ONCE, env=topics.environment)

    assert ended.returncode == 0, ended.stderr
    labels = [LabeledPost.model_validate_json(record.value) for record in read_all(stack, topics.output)]
    assert len(labels) == 40
    assert {label.encoder.rpartition("@")[0] for label in labels} == {"open_clip/ViT-B-32/vit-b-32.pt"}
    assert all(len(label.top) == 5 and 0 < label.confidence <= 1 for label in labels)
    assert any(label.text is not None for label in labels)
