from pathlib import Path

import pytest

from consumer.classify.factory import build_classifier
from consumer.classify.settings import ClassifySettings
from producer.base.errors import CommandError
from producer.base.settings import load


def settings(*argv: str) -> ClassifySettings:
    return load(ClassifySettings, "test", argv)


def test_a_device_that_is_not_there_is_one_line() -> None:
    with pytest.raises(CommandError, match=r"DEVICE cuda:99: this PyTorch sees"):
        build_classifier(settings("--encoder", "conse", "--device", "cuda:99"))


def test_a_second_gpu_is_taken_and_a_third_that_is_not_there_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Taken(Exception):
        pass

    def load(model: str, pretrained: str, device: str, *_: object) -> None:
        raise Taken(device)

    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("consumer.classify.encoders.open_clip.OpenClip", load)

    with pytest.raises(Taken, match="^cuda:1$"):
        build_classifier(settings("--device", "cuda:1"))
    with pytest.raises(CommandError, match="DEVICE cuda:2: this PyTorch sees 2 CUDA devices$"):
        build_classifier(settings("--device", "cuda:2"))


def test_a_bad_label_set_is_found_before_the_model_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read"):
        build_classifier(settings("--pretrained", "nowhere", "--places", str(tmp_path / "missing.csv")))


def test_the_settings_make_the_classifier(tiny_models: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "two.csv").write_text("category,wording\nbar,a bar\nsky,the sky\n")
    argv = ["--model", "tiny", "--pretrained", "random", "--device", "cpu", "--places", str(tmp_path / "two.csv")]
    made = build_classifier(settings(*argv))
    assert made.encoder_name == "open_clip/tiny/random+icc"
    assert made.places_stamp.startswith("two@")
    assert (made.decision.threshold, made.decision.gate) == (0.3, 0.6)
    other = build_classifier(settings(*argv, "--templates", "sun397", "--threshold", "0.1", "--weights", "1,2"))
    assert other.places_stamp != made.places_stamp
    assert (other.decision.threshold, other.decision.weights) == (0.1, (1.0, 2.0))
