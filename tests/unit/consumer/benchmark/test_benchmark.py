"""What a report says of the machine."""

import pytest
import torch

from consumer.benchmark.benchmark import machine
from consumer.benchmark.settings import BenchmarkSettings
from producer.base.errors import CommandError
from producer.base.settings import load


@pytest.mark.parametrize(
    ("argv", "gpu"),
    [
        ([], "GPU cuda"),
        (["--device=cuda:1"], "GPU cuda:1"),
        (["--device=cpu"], "none"),
        (["--engine=openvino"], "none"),  # it computes on the CPU, whatever else there is
    ],
)
def test_the_gpu_that_the_settings_choose_is_named(monkeypatch: pytest.MonkeyPatch, argv: list[str], gpu: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device}")
    assert machine(load(BenchmarkSettings, "test", argv))["gpu"] == gpu


def test_without_one_it_is_none_or_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert machine(load(BenchmarkSettings, "test", []))["gpu"] == "none"
    with pytest.raises(CommandError, match="DEVICE cuda: this PyTorch sees no CUDA device"):
        machine(load(BenchmarkSettings, "test", ["--device=cuda"]))
