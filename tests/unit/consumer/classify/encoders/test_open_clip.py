from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import open_clip
import pytest
import torch
from numpy.typing import NDArray

from consumer.classify.encoders import open_clip as module
from consumer.classify.encoders.open_clip import OpenClip, Preprocessing, imagenet_class_names
from consumer.classify.pictures.levels import levels
from producer.base.errors import CommandError
from tests.unit.consumer.classify.captions import CAPTIONS, cosines
from tests.unit.consumer.classify.photos import photo


def own_texts(encoder: OpenClip, captions: tuple[str, ...]) -> NDArray[np.float32]:
    """As open_clip itself encodes: padded to the context length."""
    with torch.inference_mode():
        vectors: NDArray[np.float32] = (
            encoder.as_published()._model.encode_text(encoder._tokenizer(list(captions)), normalize=True).numpy()
        )
    return vectors


@pytest.fixture(scope="module")
def own_vit_b_32() -> tuple[Any, Any]:
    """As open_clip itself makes it: the network, of the encoder's weights, and the transform. It takes seconds."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network, _, transform = open_clip.create_model_and_transforms("ViT-B-32", pretrained=None)
    return network.eval(), transform


@pytest.mark.slow
def test_pictures_are_encoded_as_open_clip_does(vit_b_32: OpenClip, own_vit_b_32: tuple[Any, Any]) -> None:
    pictures = [photo(320, 240, seed=1), photo(200, 500, seed=2), photo(224, 224, seed=3)]
    _, transform = own_vit_b_32
    with torch.inference_mode():
        batch = torch.stack([transform(picture) for picture in pictures])
        own = vit_b_32.as_published()._model.encode_image(batch, normalize=True).numpy()
    prepared = [vit_b_32.prepare(levels(np.array(picture))) for picture in pictures]
    together = vit_b_32.encode_images(prepared).vectors
    alone = np.concatenate([vit_b_32.encode_images([one]).vectors for one in prepared])
    for ours in (together, alone):
        assert ours.dtype == np.float32
        assert np.abs(ours - own).max() < 1e-3
        assert cosines(ours, own).min() > 0.9999


@pytest.mark.slow
def test_as_published_is_open_clips_own_code(vit_b_32: OpenClip, own_vit_b_32: tuple[Any, Any]) -> None:
    published = vit_b_32.as_published()
    network, transform = own_vit_b_32
    prepared = published.prepare(levels(np.array(photo(320, 240))))
    assert torch.equal(prepared, transform(photo(320, 240)))
    ours = vit_b_32.prepare(levels(np.array(photo(320, 240))))
    assert (ours.shape, ours.dtype) == ((3, 224, 224), torch.uint8)
    with torch.inference_mode():
        own = network.encode_image(prepared.unsqueeze(0), normalize=True).numpy()
    assert np.abs(published.encode_images([prepared]).vectors - own).max() < 1e-6
    assert cosines(vit_b_32.encode_images([ours]).vectors, own).min() > 0.9999
    seen: list[int] = []
    hooks = [
        encoder._model.transformer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1]))
        for encoder in (published, vit_b_32)
    ]
    published.encode_texts(["the bridge at noon"])
    vit_b_32.encode_texts(["the bridge at noon"])
    for hook in hooks:
        hook.remove()
    assert seen == [77, 6]
    assert "bpe" not in vars(published._tokenizer)
    assert "bpe" in vars(vit_b_32._tokenizer)


@pytest.mark.slow
def test_levels_are_normalised_as_open_clip_does(vit_b_32: OpenClip, own_vit_b_32: tuple[Any, Any]) -> None:
    _, transform = own_vit_b_32
    square = photo(224, 224)
    assert vit_b_32._preprocessing is not None
    batch = vit_b_32._preprocessing.normalised(vit_b_32.prepare(levels(np.array(square))).unsqueeze(0))
    assert (batch[0] - transform(square)).abs().max() < 1e-5


@pytest.mark.parametrize(
    "other", [{"resize_mode": "squash"}, {"resize_mode": "longest"}, {"size": (224, 336)}, {"size": [224, 336]}]
)
def test_other_transforms_stay_open_clips_own(other: dict[str, Any]) -> None:
    config = {"size": (224, 224), "mean": 0.5, "std": 0.5, "interpolation": "bilinear", "resize_mode": "shortest"}
    usual = Preprocessing.of(config, torch.device("cpu"))
    assert usual is not None
    assert (usual.side, usual.interpolation) == (224, "bilinear")
    assert Preprocessing.of(config | other, torch.device("cpu")) is None


@pytest.mark.slow
def test_texts_are_encoded_as_open_clip_does(vit_b_32: OpenClip) -> None:
    own = own_texts(vit_b_32, CAPTIONS)
    alone = np.concatenate([vit_b_32.encode_texts([caption]) for caption in CAPTIONS])
    for ours in (vit_b_32.encode_texts(CAPTIONS), alone):
        assert np.abs(ours - own).max() < 1e-4
        assert cosines(ours, own).min() > 0.9999


@pytest.mark.parametrize("name", ["tiny", "tiny-custom-text", "tiny-bidirectional"])
def test_cut_or_padded_texts_equal_open_clips(tiny_models: tuple[str, ...], name: str) -> None:
    encoder = OpenClip(name, "random")
    texts = CAPTIONS * 20  # several chunks, sorted by length
    assert np.abs(encoder.encode_texts(texts) - own_texts(encoder, texts)).max() < 1e-4


def test_a_long_text_does_not_lengthen_the_short_ones(tiny_models: tuple[str, ...]) -> None:
    encoder = OpenClip("tiny", "random")
    seen: list[tuple[int, int]] = []
    encoder._model.transformer.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape[:2])))
    encoder.encode_texts(["the bridge at noon"] * 12 + ["a " * 200] + ["!"] * 12 + ["a bridge"])
    assert seen == [(12, 3), (13, 6), (1, 77)]


@pytest.mark.parametrize(("name", "positions"), [("tiny", 6), ("tiny-custom-text", 6), ("tiny-bidirectional", 77)])
def test_only_towers_that_may_be_cut_are(tiny_models: tuple[str, ...], name: str, positions: int) -> None:
    encoder = OpenClip(name, "random")
    seen: list[int] = []
    tower = getattr(encoder._model, "text", encoder._model)
    tower.transformer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1]))
    encoder.encode_texts(["the bridge at noon", "!"])
    assert seen == [positions]


def test_a_coca_tower_is_not_cut() -> None:
    text = open_clip.model.CLIPTextCfg(width=32, heads=2, layers=1, embed_cls=True)
    tower = open_clip.model._build_text_tower(32, text)
    assert module._tower_that_may_be_cut(torch.nn.ModuleDict({"text": tower})) is None


def test_the_name_says_which_weights(tiny_models: tuple[str, ...], tmp_path: Path) -> None:
    assert OpenClip("tiny", "random").name == "open_clip/tiny/random"
    names = set()
    for number in range(2):
        torch.save(open_clip.create_model("tiny").state_dict(), tmp_path / "mine.pt")
        names.add(OpenClip("tiny", str(tmp_path / "mine.pt")).name)
        assert all(name.startswith("open_clip/tiny/mine.pt@") for name in names)
        assert len(names) == number + 1


def test_the_logit_scale_is_the_models(tiny_models: tuple[str, ...]) -> None:
    encoder = OpenClip("tiny", "random")
    assert encoder.image_logit_scale == encoder.text_logit_scale == pytest.approx(1 / 0.07, rel=1e-5)


@pytest.mark.parametrize("wrap", ["as it is", "state_dict", "module."])
def test_a_checkpoint_is_loaded(tiny_models: tuple[str, ...], tmp_path: Path, wrap: str) -> None:
    trained = open_clip.create_model("tiny").eval()
    weights = trained.state_dict()
    if wrap == "module.":
        weights = {f"module.{name}": tensor for name, tensor in weights.items()}
    torch.save(weights if wrap == "as it is" else {"state_dict": weights, "epoch": 3}, tmp_path / "a.pt")
    encoder = OpenClip("tiny", str(tmp_path / "a.pt"))
    with torch.inference_mode():
        own = trained.encode_text(encoder._tokenizer(list(CAPTIONS)), normalize=True).numpy()
    assert np.abs(encoder.encode_texts(CAPTIONS) - own).max() < 1e-4


def _half(path: Path) -> None:
    torch.save(open_clip.create_model("tiny").state_dict(), path)
    path.write_bytes(path.read_bytes()[:100_000])


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_text("hello"),
        Path.touch,
        Path.mkdir,
        lambda path: torch.save(torch.zeros(3), path),
        lambda path: torch.save({"weight": torch.zeros(3)}, path),
        lambda path: torch.save(open_clip.create_model("tiny", embed_dim=16).state_dict(), path),
        _half,
    ],
    ids=["text", "nothing", "a folder", "a tensor", "other names", "other shapes", "half of it"],
)
def test_what_is_no_checkpoint_of_the_model_is_one_line(
    tiny_models: tuple[str, ...], tmp_path: Path, make: Callable[[Path], object]
) -> None:
    make(tmp_path / "a.pt")
    with pytest.raises(CommandError) as caught:
        OpenClip("tiny", str(tmp_path / "a.pt"))
    assert str(caught.value).startswith(f"PRETRAINED {tmp_path / 'a.pt'}: ")
    assert "\n" not in str(caught.value)


def test_an_unknown_model_or_tag_names_what_there_is() -> None:
    with pytest.raises(CommandError, match="MODEL ViT-B-33: .*ViT-B-32"):
        OpenClip("ViT-B-33", "random")
    with pytest.raises(CommandError, match="PRETRAINED laion3b: neither a file nor a tag.*laion2b_s34b_b79k"):
        OpenClip("ViT-B-32", "laion3b")


def test_weights_that_cannot_be_had_name_both_ways_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CommandError) as caught:
        OpenClip("ViT-B-32", "laion2b_s34b_b79k")
    assert "--pretrained PATH" in str(caught.value)
    assert "--encoder conse" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert huggingface_hub.constants.HF_HUB_OFFLINE is False


def test_imagenet_has_a_thousand_classes() -> None:
    names = imagenet_class_names()
    assert len(names) == 1_000
    assert (names[0], names[999]) == ("tench", "toilet paper")


@pytest.mark.slow
def test_as_published_its_batches_are_not_padded(tiny_models: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.compile", lambda encode, dynamic: encode)
    compiled = OpenClip("tiny", "random", compiled=True)

    published = compiled.as_published()

    assert (compiled._device.rows(3), published._device.rows(3)) == (32, 3)
