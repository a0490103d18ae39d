from pathlib import Path

import pytest

from consumer.classify.settings import ClassifySettings, build_classifier
from producer.base.errors import CommandError, UsageError
from producer.base.settings import load


def settings(*argv: str) -> ClassifySettings:
    return load(ClassifySettings, "test", argv)


def test_the_defaults_are_the_talks() -> None:
    default = settings()
    assert (default.encoder, default.model, default.pretrained) == ("open_clip", "ViT-B-32", "laion2b_s34b_b79k")
    assert (default.ensemble, default.weights, default.gate, default.threshold) == (
        "conditional",
        (0.8, 0.8),
        0.6,
        None,
    )


def test_flags_and_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACESTREAM_WEIGHTS", "0.8, 0.2")
    monkeypatch.setenv("PLACESTREAM_ENCODER", "conse")
    monkeypatch.setenv("PLACESTREAM_GATE", "0.9")
    read = settings("--gate", "0.7", "--threshold", "0")
    assert (read.weights, read.encoder, read.gate, read.threshold) == ((0.8, 0.2), "conse", 0.7, 0.0)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("weights", "0.8"),
        ("weights", "0,0"),
        ("weights", "-1,2"),
        ("weights", "nan,1"),
        ("weights", "inf,1"),
        ("weights", "a,b"),
        ("gate", "1.1"),
        ("gate", "nan"),
        ("threshold", "-0.1"),
        ("threshold", "high"),
        ("ensemble", "both"),
        ("encoder", "clip"),
        ("device", "gpu"),
        ("templates", "mine"),
        ("max-image-bytes", "0"),
        ("max-image-pixels", "-1"),
    ],
)
def test_a_wrong_value_names_its_setting(flag: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"setting {flag.replace('-', '_').upper()}: ") as caught:
        settings(f"--{flag}={value}")
    assert "\n" not in str(caught.value)


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
    assert made.encoder_name == "open_clip/tiny/random"
    assert made.places_stamp.startswith("two@")
    assert (made.decision.threshold, made.decision.gate) == (0.3, 0.6)
    other = build_classifier(settings(*argv, "--templates", "sun397", "--threshold", "0.1", "--weights", "1,2"))
    assert other.places_stamp != made.places_stamp
    assert (other.decision.threshold, other.decision.weights) == (0.1, (1.0, 2.0))
