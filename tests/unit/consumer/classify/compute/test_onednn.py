import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from consumer.classify.compute import onednn
from consumer.classify.compute.engine import Tower
from consumer.classify.encoders import conse
from consumer.classify.encoders.conse import Conse
from consumer.classify.encoders.open_clip import OpenClip
from consumer.classify.pictures.levels import levels
from tests.unit.consumer.classify.photos import photo

CAPTIONS = ["", "the bridge at noon", "so blue, I love it " * 9, "湖の上のお寺 🙏"]


def random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(205))


def towers(*encode_and_example: Any) -> Callable[[], list[Tower]]:
    """Of each pair what encodes, and an input."""
    pairs = zip(encode_and_example[::2], encode_and_example[1::2], strict=True)
    return lambda: [Tower("a tower", nn.Module(), encode, example, ()) for encode, example in pairs]


def ours(network: nn.Module) -> int:
    return sum(isinstance(layer, onednn.Linear) for layer in network.modules())


pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="oneDNN's layers are used on x86-64 alone: elsewhere nothing changes"
)


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.mark.parametrize("shape", [(24,), (1, 24), (7, 24), (3, 5, 24), (33, 77, 24)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_layer_computes_what_torchs_does(shape: tuple[int, ...], bias: bool) -> None:
    layer = nn.Linear(24, 10, bias)
    rows = random(*shape)
    torch.testing.assert_close(onednn.Linear(layer.weight, layer.bias)(rows), layer(rows))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("mask", [None, (9, 9), (3 * 4, 9, 9)], ids=["no mask", "one", "one for each row and head"])
def test_attention_computes_what_torchs_does(bias: bool, mask: tuple[int, ...] | None) -> None:
    attention = nn.MultiheadAttention(32, 4, bias=bias, batch_first=True).eval()
    if bias:
        nn.init.normal_(attention.in_proj_bias)
    rows, others = random(3, 9, 32), random(3, 10, 32)[:, 1:]
    attn_mask = None if mask is None else random(*mask)
    for key, value in ((rows, rows), (others, others), (others, rows)):
        expected, _ = attention(rows, key, value, need_weights=False, attn_mask=attn_mask)
        computed, weights = onednn.Attention(attention)(rows, key, value, need_weights=False, attn_mask=attn_mask)
        torch.testing.assert_close(computed, expected, atol=1e-5, rtol=1e-5)
        assert weights is None


def test_attention_refuses_what_it_does_not_compute() -> None:
    attention, rows = onednn.Attention(nn.MultiheadAttention(32, 4, batch_first=True)), random(3, 9, 32)
    with pytest.raises(NotImplementedError):
        attention(rows, rows, rows, need_weights=True)
    with pytest.raises(NotImplementedError):  # of torch's a boolean mask says what to leave out
        attention(rows, rows, rows, attn_mask=torch.ones(9, 9, dtype=torch.bool))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["ViT-B-32", "coca_ViT-B-32", "EVA02-B-16", "tiny-bidirectional", "tiny-biased"])
def test_a_models_vectors_are_the_same_by_rounding(tiny_models: tuple[str, ...], model: str) -> None:
    encoder = OpenClip(model, "random")
    assert ours(encoder._model) >= 24
    assert not [layer for layer in encoder._model.modules() if type(layer) is nn.Linear]
    published = encoder.as_published()
    assert not ours(published._model)
    pictures = [levels(np.array(photo(320, 240, seed=seed))) for seed in range(3)]
    same_pixels = [published.prepare(picture) for picture in pictures]
    encoder._preprocessing = None
    for computed, expected in (
        (encoder.encode_images(same_pixels).vectors, published.encode_images(same_pixels).vectors),
        (encoder.encode_texts(CAPTIONS), published.encode_texts(CAPTIONS)),
    ):
        assert (computed * expected).sum(axis=1).min() > 0.99999
        assert np.abs(computed - expected).max() < 1e-5


@pytest.mark.slow
def test_conses_captions_are_encoded_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer, sentences = conse._load_sentences()
    monkeypatch.setattr(conse, "_load_sentences", lambda: (tokenizer, sentences))
    Conse()
    assert ours(sentences) == 6 * 6 + 1
    assert not [layer for layer in sentences.modules() if type(layer) is nn.Linear]


MANY_SHAPES = """
from pathlib import Path
import torch
from consumer.classify.compute.onednn import Linear

def resident_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

layer, rows = Linear(torch.randn(64, 64), None), torch.randn(800, 64)
with torch.inference_mode():
    for number in range(1, 801):
        layer(rows[:number])
        if number == 200:
            before = resident_mib()
print(resident_mib() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_memory_does_not_grow_with_the_shapes_of_captions() -> None:
    unset = {name: value for name, value in os.environ.items() if not name.endswith("_CACHE_CAPACITY")}
    ended = subprocess.run([sys.executable, "-c", MANY_SHAPES], capture_output=True, text=True, check=True, env=unset)
    assert float(ended.stdout) < 60  # MiB; it would be 350


class ReadsWeights(nn.Module):
    """As the attention pool of open_clip's ResNets: its second layer is read, not called."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(self.first(rows), self.second.weight, self.second.bias)


def test_a_network_that_reads_its_weights_stays_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    network, rows = ReadsWeights(), random(3, 8)
    before, layers = network(rows), list(network.modules())
    with caplog.at_level("INFO"):
        assert not onednn.use(network, towers(network, rows))
    assert list(network.modules()) == layers
    torch.testing.assert_close(network(rows), before)
    assert "oneDNN cannot compute this network's linear layers, so PyTorch does: " in caplog.text


@pytest.mark.slow
def test_an_open_clip_resnet_is_encoded_by_torch() -> None:
    assert not ours(OpenClip("RN50", "random")._model)


def test_a_network_whose_vectors_differ_stays_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    class Wrong(onednn.Linear):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return super().forward(rows) + 0.1

    network, rows = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8)), random(3, 8)
    layers = list(network)
    with pytest.MonkeyPatch.context() as patch, caplog.at_level("INFO"):
        patch.setattr(onednn, "Linear", Wrong)
        assert not onednn.use(network, towers(network, rows))
    assert list(network) == layers
    assert "vectors differ (cosines 0." in caplog.text
    assert onednn.use(network, towers(network, rows))
    assert ours(network) == 2


def test_a_second_tower_that_gives_nan_keeps_both_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    def broken(rows: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(network(rows) * (float("nan") if ours(network) else 1.0))

    network, rows = nn.Sequential(nn.Linear(8, 8)), random(3, 8)
    with caplog.at_level("INFO"):
        assert not onednn.use(network, towers(network, rows, broken, rows))
    assert not ours(network)
    assert "(cosines 1.000000, nan)" in caplog.text


def test_a_network_without_an_example_stays_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    def towers() -> list[Tower]:
        raise RuntimeError("an odd size")

    network = nn.Sequential(nn.Linear(8, 8))
    with caplog.at_level("INFO"):
        assert not onednn.use(network, towers)
    assert "RuntimeError: an odd size" in caplog.text


def test_attention_of_another_kind_stays_torchs() -> None:
    kinds = {"batch_first": False}, {"batch_first": True, "kdim": 16}, {"batch_first": True, "add_bias_kv": True}
    for kind in kinds:
        network = nn.ModuleDict({"attention": nn.MultiheadAttention(32, 4, **kind), "after": nn.Linear(32, 8)})
        assert onednn.use(network, towers(network["after"], random(3, 32)))
        assert (ours(network), type(network["attention"])) == (1, nn.MultiheadAttention)


@pytest.mark.parametrize("missing", ["x86", "oneDNN"])
def test_where_there_is_none_nothing_changes(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if missing == "x86":
        monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    else:
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    network = nn.Sequential(nn.Linear(8, 8))
    assert not onednn.use(network, towers(network, random(3, 8)))
    assert not ours(network)


@pytest.mark.slow
def test_towers_that_torch_compiles_stay_torchs(tiny_models: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OpenClip, "_compile", lambda self: None)  # it takes minutes
    assert not ours(OpenClip("tiny", "random", compiled=True)._model)
    assert ours(OpenClip("tiny", "random")._model) == 2 * 2 * (2 + 4)
