import pytest

from consumer.classify.settings import ClassifySettings
from producer.base.errors import UsageError
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
