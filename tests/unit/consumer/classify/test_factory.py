from pathlib import Path

import numpy as np
import pytest

from consumer.classify.encoders import open_clip
from consumer.classify.factory import build_classifier, build_head, build_query_encoder, decision_of
from consumer.classify.places import Place, Places
from consumer.classify.settings import ClassifySettings
from producer.base.errors import CommandError
from producer.base.settings import load
from tests.light import LightEncoder


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


@pytest.mark.parametrize(
    ("flags", "threshold"),
    [
        ((), 0.6),
        (("--threshold", "0.7"), 0.7),
        (("--broader-threshold", "0.5"), 0.5),
        (("--threshold", "0.5", "--broader-threshold", "0.5"), 0.5),
    ],
)
def test_a_group_needs_no_less_than_a_place(flags: tuple[str, ...], threshold: float) -> None:
    encoder = LightEncoder()
    assert decision_of(settings(*flags), encoder, Places.load()).broader_threshold == threshold
    assert decision_of(settings(*flags), encoder, Places("plain", (Place("bar", "x"),))).broader_threshold is None


def test_a_group_that_would_need_less_than_a_place_is_refused() -> None:
    with pytest.raises(CommandError, match=r"^BROADER_THRESHOLD 0.3 is below THRESHOLD 0.4: give at least that$"):
        decision_of(settings("--broader-threshold", "0.3"), LightEncoder(), Places.load())


def test_a_head_is_the_classifiers_and_needs_the_model_once_for_other_places_and_never_for_its_own(
    tiny_models: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "two.csv").write_text("category,wording,level2\nbar,a bar,food\nsky,the sky,nature\n")
    model = ("--encoder", "open_clip", "--model", "tiny", "--pretrained", "random")
    other = (*model, "--places", str(tmp_path / "two.csv"))
    loaded: list[str] = []
    load_model = open_clip._load

    def load_and_count(model: str, pretrained: str) -> object:
        loaded.append(model)
        return load_model(model, pretrained)

    monkeypatch.setattr(open_clip, "_load", load_and_count)
    made = build_classifier(settings(*model, "--device", "cpu"))

    own = build_head(settings(*model))
    heads = [build_head(settings(*other)) for _ in range(2)]

    assert [group.name for group in heads[0].head.groups] == ["food", "nature"]
    assert own.head.groups == made.head.groups == Places.load().groups
    assert len(loaded) == 2, "by the classifier, and for the prompts of other places"
    assert (own.identity, own.places_stamp) == ("open_clip/tiny/random", made.places_stamp)
    assert (own.head.image_logit_scale, own.head.decision) == (made.head.image_logit_scale, made.decision)
    assert np.array_equal(own.head.place_vectors, made.head.place_vectors)
    assert [head.head.categories for head in heads] == [("bar", "sky")] * 2


def test_a_query_of_open_clip_is_encoded_as_a_place_of_that_wording(
    tiny_models: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "two.csv").write_text("category,wording\nbar,a bar\nsky,the sky over {name}\n")
    model = ("--encoder", "open_clip", "--model", "tiny", "--pretrained", "random")
    head = build_head(settings(*model, "--places", str(tmp_path / "two.csv")))

    identity, encode = build_query_encoder(settings(*model, "--templates", "sun397", "--precision", "bf16"))

    assert identity == head.identity
    assert encode("the sky over {name}") == pytest.approx(head.head.place_vectors[1], abs=1e-5)
