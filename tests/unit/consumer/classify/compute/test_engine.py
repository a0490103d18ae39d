import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image

from consumer.classify.classifier import Classifier
from consumer.classify.compute import engine
from consumer.classify.compute.calibration import Calibration
from consumer.classify.compute.engine import CHECKSUMS, Precision, Tower
from consumer.classify.decision import Decision
from consumer.classify.encoders.conse import Conse
from consumer.classify.encoders.open_clip import OpenClip
from consumer.classify.factory import build_classifier
from consumer.classify.pictures.decode import PictureLimits
from consumer.classify.places import Places
from consumer.classify.settings import ClassifySettings
from producer.base.cache import cache_folder
from producer.base.errors import CommandError
from producer.base.settings import load
from producer.photographs import PHOTOGRAPHS
from producer.post import Post
from tests import marks
from tests.unit.consumer.classify.captions import CAPTIONS, cosines
from tests.unit.consumer.classify.photos import encoded, photo

pytestmark = [pytest.mark.slow, marks.openvino]

LEVEL = {"fp32": 1.0001, "bf16": 1.05, "int8": 1.2}
"""By what factor one of a tiny model's five likeliest places is likelier than another, and rounding may swap them."""
COSINE = {"fp32": 0.99999, "bf16": 0.999, "int8": 0.998}
"""Of a tiny model's vectors with torch's, at least."""


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The user's cache for this module's tests: a conversion takes seconds, so they share it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for one test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return cache_folder("openvino")


@pytest.fixture(scope="module")
def posts() -> list[Post]:
    """Photographs, made-up pictures and noise, with captions of all lengths."""
    random = np.random.default_rng(205)
    noise = [Image.fromarray(random.integers(0, 256, (80, 100, 3), dtype=np.uint8)) for _ in range(40)]
    made_up = [photo(300, 200, seed) for seed in range(60)]
    pictures = [one.path().read_bytes() for one in PHOTOGRAPHS] + [encoded(image) for image in made_up + noise]
    written = [caption for one in PHOTOGRAPHS for caption in one.captions] + list(CAPTIONS)
    return [Post(str(index), "rome", picture, written[index % len(written)]) for index, picture in enumerate(pictures)]


def in_openvino(model: str = "tiny", precision: Precision = "fp32", calibration: Calibration | None = None) -> OpenClip:
    return OpenClip(model, "random", "cpu", "openvino", precision, calibration=calibration)


@pytest.fixture(scope="module")
def seen(posts: list[Post]) -> Calibration:
    """What int8 is fitted to."""
    return Calibration(tuple(post.picture for post in posts), PictureLimits(), "0123abcd")


def tower(encode: Callable[[torch.Tensor], torch.Tensor] = torch.nn.Linear(4, 3).eval()) -> Tower:  # noqa: B008
    return Tower(
        "image",
        encode if isinstance(encode, torch.nn.Module) else torch.nn.Module(),
        encode,
        torch.arange(8.0).reshape(2, 4),
        (0,),
    )


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("tiny", "fp32"),
        ("tiny", "bf16"),
        pytest.param("tiny", "int8", marks=marks.int8),
        ("tiny-custom-text", "fp32"),
        ("tiny-bidirectional", "fp32"),
    ],
)
def test_vectors_and_labels_are_torchs(
    tiny_models: tuple[str, ...], posts: list[Post], seen: Calibration, name: str, precision: Precision
) -> None:
    decision = Decision(ensemble="ensemble", threshold=0.0)
    encoders = OpenClip(name, "random"), in_openvino(name, precision, seen if precision == "int8" else None)
    one, other = (Classifier(encoder, Places.load(), decision) for encoder in encoders)
    batch = one.decode_all(posts)
    prepared, captions = [decoded.prepared for decoded in batch], [post.caption or "" for post in posts]
    for size in (1, 3, len(batch)):
        in_torch, in_other = (
            (encoder.encode_images(prepared[:size]).vectors, encoder.encode_texts(captions[-size:]))
            for encoder in encoders
        )
        for vectors, others in zip(in_torch, in_other, strict=True):
            assert others.dtype == np.float32
            assert cosines(vectors, others).min() >= COSINE[precision]
            assert precision != "fp32" or np.abs(vectors - others).max() < 1e-5
    labels = list(zip(one.label(batch), other.label(batch), strict=True))
    assert len(labels) > 100
    for left, right in labels:  # random weights: the likeliest two places are often level, and rounding may swap them
        assert left.confidence <= LEVEL[precision] * dict(left.top)[right.top[0][0]]


def test_conses_vectors_and_labels_are_torchs_too(conse: Conse, posts: list[Post]) -> None:
    other = build_classifier(load(ClassifySettings, "test", ["--encoder=conse", "--engine=openvino"]))
    one = Classifier(conse, Places.load(), other.decision)
    assert other.encoder_name == f"{one.encoder_name}+openvino-fp32+icc"
    batch = one.decode_all(posts[:40])
    for vectors, others in zip(one.vectors(batch), other.vectors(batch), strict=True):
        assert np.abs(vectors - others).max() < 1e-4
    labels = zip(one.label(batch), other.label(batch), strict=True)
    assert [left.place for left, right in labels if left.place != right.place] == []


def test_a_text_costs_what_its_length_costs(tiny_models: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = in_openvino()
    text_tower = Mock(side_effect=encoder._text_tower)
    monkeypatch.setattr(encoder, "_text_tower", text_tower)
    encoder.encode_texts(["the bridge at noon", "!"])
    encoder.encode_texts(["the bridge at noon", "a " * 200])
    assert [call.args[0].shape for call in text_tower.call_args_list] == [(2, 6), (1, 6), (1, 77)]


@marks.int8
def test_int8_says_what_it_was_fitted_to_and_is_fitted_once(
    tiny_models: tuple[str, ...], seen: Calibration, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = in_openvino(precision="int8", calibration=seen)
    assert before.name == "open_clip/tiny/random+openvino-int8-0123abcd"
    monkeypatch.setattr("consumer.classify.compute.engine.subprocess.run", _refuse)
    again = in_openvino(precision="int8", calibration=seen)
    pictures = [again.prepare(each) for each in seen.levels()]
    assert np.abs(again.encode_images(pictures).vectors - before.encode_images(pictures).vectors).max() < 1e-6
    fewer = replace(seen, pictures=seen.pictures[:40])
    with pytest.raises(CommandError, match="the image tower of open_clip/tiny/random: made again"):
        in_openvino(precision="int8", calibration=fewer)


@marks.int8
def test_int8_takes_the_large_products_only(tiny_models: tuple[str, ...], seen: Calibration, own_cache: Path) -> None:
    in_openvino(precision="int8", calibration=seen)
    (folder,) = own_cache.glob("image-int8-*")
    model = engine._core(engine.import_openvino()).read_model(folder / "tower.xml")
    kinds = [operation.get_type_name() for operation in model.get_ops()]
    blocks = kinds.count("ScaledDotProductAttention")
    assert (blocks, kinds.count("MatMul")) == (2, 4 * blocks + 1)
    # Of each block not the attention and its output; not the patches' convolution, nor the projection at the end.
    assert kinds.count("FakeQuantize") == 3 * blocks
    assert [*own_cache.glob("text-int8-*")] == []


@pytest.mark.parametrize(
    ("precision", "of_captions"), [("fp32", "fp32"), ("bf16", "bf16"), pytest.param("int8", "bf16", marks=marks.int8)]
)
def test_int8_is_for_pictures(
    tiny_models: tuple[str, ...],
    seen: Calibration,
    monkeypatch: pytest.MonkeyPatch,
    precision: Precision,
    of_captions: Precision,
) -> None:
    computed: dict[str, Precision] = {}
    monkeypatch.setattr(engine, "in_openvino", lambda tower, precision, _: computed.update({tower.name: precision}))
    in_openvino(precision=precision, calibration=seen if precision == "int8" else None)
    assert computed == {"image": precision, "text": of_captions}


@marks.int8
def test_int8_keeps_the_largest_numbers(own_cache: Path) -> None:
    random = torch.Generator().manual_seed(205)
    rows = [torch.randn(1, 64, generator=random) for _ in range(60)]
    rows[50] *= 8  # as in a trained vision transformer
    linear = torch.nn.Linear(64, 64, bias=False).eval()
    tower = Tower("image", linear, linear, torch.cat(rows[:2]), (0,), tuple(rows))
    vector = engine.in_openvino(tower, "int8", "linear")(rows[50])
    assert torch.cosine_similarity(vector, linear(rows[50])).item() > 0.9999


def test_prompts_are_torchs_in_fp32_whatever_computes_captions(
    tiny_models: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = in_openvino(precision="bf16")
    monkeypatch.setattr(encoder, "_text_tower", _refuse)
    assert np.abs(encoder.encode_prompts(CAPTIONS) - OpenClip("tiny", "random").encode_texts(CAPTIONS)).max() < 1e-6


def test_as_published_is_torchs(tiny_models: tuple[str, ...]) -> None:
    published, others = (encoder.as_published() for encoder in (OpenClip("tiny", "random"), in_openvino()))
    assert np.abs(published.encode_texts(CAPTIONS) - others.encode_texts(CAPTIONS)).max() < 1e-6


def _refuse(*_: Any, **__: Any) -> None:
    raise RuntimeError("made again")


def test_a_conversion_is_made_once_for_all_precisions(
    tiny_models: tuple[str, ...], own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = in_openvino().encode_texts(CAPTIONS)
    assert sorted(path.name.partition("-")[0] for path in own_cache.iterdir()) == ["image", "text"]
    monkeypatch.setattr(engine, "_convert", _refuse)
    assert np.abs(in_openvino().encode_texts(CAPTIONS) - before).max() < 1e-6
    in_openvino(precision="bf16")


def _flip_a_bit(folder: Path) -> None:
    content = bytearray((folder / "tower.bin").read_bytes())
    content[5] ^= 64
    (folder / "tower.bin").write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: os.truncate(folder / "tower.bin", 10),
        _flip_a_bit,
        lambda folder: (folder / "tower.xml").unlink(),
        lambda folder: (folder / CHECKSUMS).unlink(),
        lambda folder: (folder / CHECKSUMS).write_text("hello\n"),
    ],
    ids=["truncated", "a bit flipped", "no graph", "no sums", "sums that are none"],
)
def test_a_broken_conversion_is_made_again(own_cache: Path, damage: Callable[[Path], object]) -> None:
    linear = tower()
    before = engine.in_openvino(linear, "fp32", "linear")(linear.example)
    (folder,) = own_cache.iterdir()
    damage(folder)
    assert not engine._is_whole(folder)
    torch.testing.assert_close(engine.in_openvino(linear, "fp32", "linear")(linear.example), before)
    assert [*own_cache.iterdir()] == [folder]
    assert engine._is_whole(folder)


def test_another_process_may_be_faster(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    convert = engine._convert

    def convert_while_another_does(openvino: Any, linear: Tower) -> Any:
        monkeypatch.setattr(engine, "_convert", convert)
        engine.in_openvino(linear, "fp32", "linear")
        monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)  # it comes after our look at what is there
        return convert(openvino, linear)

    monkeypatch.setattr(engine, "_convert", convert_while_another_does)
    engine.in_openvino(tower(), "fp32", "linear")
    assert any(engine._is_whole(folder) for folder in own_cache.iterdir())


def test_other_weights_or_another_name_are_another_conversion() -> None:
    linear = torch.nn.Linear(4, 3).eval()
    keys = {engine._key(tower(linear), "one"), engine._key(tower(linear), "two")}
    with torch.no_grad():
        linear.bias[1] += 1e-6
    keys.add(engine._key(tower(linear), "one"))
    assert len(keys) == 3


def test_an_interrupted_conversion_leaves_nothing(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_checksums", lambda _: 1 / 0)
    with pytest.raises(CommandError, match="ENGINE openvino: the image tower of linear: "):
        engine.in_openvino(tower(), "fp32", "linear")
    assert not [*own_cache.iterdir()]


def test_no_place_for_the_conversion_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(CommandError, match=f"no place for a cache: .*{tmp_path}.*XDG_CACHE_HOME") as caught:
        engine.in_openvino(tower(), "fp32", "linear")
    assert "\n" not in str(caught.value)


def test_a_model_that_cannot_be_converted_is_one_line() -> None:
    branching = tower(lambda batch: batch if batch.sum() > 0 else -batch)
    with pytest.raises(CommandError, match="ENGINE openvino: the image tower of branching: ") as caught:
        engine.in_openvino(branching, "fp32", "branching")
    assert "\n" not in str(caught.value)


def test_other_vectors_than_torchs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    linear = tower()
    engine.in_openvino(linear, "fp32", "linear")
    changed = Tower("image", linear.model, lambda batch: -linear.encode(batch), linear.example, (0,))
    with pytest.raises(CommandError, match=r"PRECISION bf16: the image tower of linear .*\(cosine -1\.000\)"):
        engine.in_openvino(changed, "bf16", "linear")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--precision=bf16"], "PRECISION bf16: ENGINE torch computes in fp32 only on DEVICE cpu"),
        (["--engine=openvino", "--device=cuda"], "DEVICE cuda"),
        (["--engine=openvino", "--compile"], "COMPILE: ENGINE openvino compiles by itself"),
        (
            ["--engine=openvino", "--precision=fp16"],
            "PRECISION fp16: ENGINE openvino computes in fp32, bf16, int8; set one of them",
        ),
        (["--precision=int8"], "PRECISION int8: ENGINE torch does not compute in it; set ENGINE openvino"),
        (["--engine=openvino", "--precision=int8"], "PRECISION int8 needs CALIBRATION: a dataset whose pictures are"),
        (["--jpeg-decoder=nvjpeg"], "JPEG_DECODER nvjpeg: it decodes on CUDA devices, not on DEVICE cpu"),
        (["--encoder=conse", "--compile"], "CALIBRATION, COMPILE and JPEG_DECODER are for ENCODER open_clip, not for"),
        (
            ["--encoder=conse", "--engine=openvino", "--precision=bf16"],
            "PRECISION bf16: ENCODER conse computes in fp32",
        ),
        (["--encoder=conse", "--engine=openvino", "--device=cuda"], "DEVICE cuda"),
    ],
)
def test_settings_that_contradict_one_another_are_one_line(argv: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message) as caught:
        build_classifier(load(ClassifySettings, "test", ["--pretrained=random", *argv]))
    assert "\n" not in str(caught.value)


def test_the_settings_reach_the_encoder(
    tiny_models: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_openvino()  # torch would ask the GPU while it is converted
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # device auto is the CPU all the same
    (tmp_path / "one.csv").write_text("category,wording\nsky,the sky\n")
    argv = f"--model=tiny --pretrained=random --engine=openvino --precision=bf16 --places={tmp_path / 'one.csv'}"
    made = build_classifier(load(ClassifySettings, "test", argv.split()))
    assert made.encoder_name == "open_clip/tiny/random+openvino-bf16+icc"


def test_a_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(CommandError, match=r"^ENGINE openvino needs .* pip install 'placestream\[openvino\]'$"):
        OpenClip("ViT-B-32", "random", "cpu", "openvino")


def test_nothing_reports_its_use_over_the_network() -> None:
    from openvino.tools.ovc import telemetry_utils

    engine.in_openvino(tower(), "fp32", "linear")
    assert sys.modules["openvino_telemetry"] is None
    assert telemetry_utils.tm.__name__ == "openvino.tools.ovc.telemetry_stub"


SIGNALLED = """
import gc, os, signal, torch
from consumer.classify.compute.engine import Tower, in_openvino

signal.signal(signal.SIGTERM, lambda *_: print("stopping"))
linear = torch.nn.Linear(4, 3).eval()
first, second = (in_openvino(Tower("image", linear, linear, torch.ones(2, 4), (0,)), "fp32", "linear") for _ in "12")
del first
gc.collect()
del second
gc.collect()
os.kill(os.getpid(), signal.SIGTERM)
"""


def test_a_signal_after_models_have_gone_is_handled() -> None:
    ended = subprocess.run([sys.executable, "-c", SIGNALLED], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "stopping\n"), ended.stderr


@pytest.mark.parametrize(
    ("architecture", "has", "may"),
    [
        ("x86_64", "avx2", False),
        ("x86_64", "avx512_vnni", True),
        ("x86_64", "avx_vnni", True),
        ("aarch64", "dot", True),
        (None, "", True),  # torch is too old to tell
    ],
)
def test_int8_needs_instructions_for_it(
    monkeypatch: pytest.MonkeyPatch, architecture: str | None, has: str, may: bool
) -> None:
    found = {"architecture": architecture, "avx2": False, "avx512_vnni": False, "avx_vnni": False} | {has: True}
    if architecture:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    else:
        monkeypatch.delattr(torch.cpu, "get_capabilities")
    with nullcontext() if may else pytest.raises(CommandError, match="int8: this CPU has no VNNI.* set PRECISION fp32"):
        engine.check("openvino", "int8", "cpu", calibrated=True)


@pytest.mark.parametrize(("capabilities", "warnings"), [(["FP32"], 1), (["FP32", "BF16"], 0)])
@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_bf16_on_a_cpu_without_it_is_a_warning(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    precision: Precision,
    capabilities: list[str],
    warnings: int,
) -> None:
    class Openvino:
        class Core:
            def get_property(self, device: str, name: str) -> list[str]:
                return capabilities

    monkeypatch.setattr(engine, "import_openvino", Openvino)
    monkeypatch.setattr(engine, "computes_in_int8", lambda: True)
    engine.check("openvino", precision, "cpu", calibrated=precision == "int8")
    assert engine._hint(precision) == ("f32" if warnings else "bf16")
    assert [record.getMessage()[:16] for record in caplog.records] == [f"PRECISION {precision}: "] * warnings
