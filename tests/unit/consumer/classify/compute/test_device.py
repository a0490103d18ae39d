"""What makes a GPU fast, as far as a CPU can show it; the rest is in test_cuda.py."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from consumer.classify.compute.device import LENGTHS, PART, SIZES, Device
from consumer.classify.compute.engine import Engine, Precision, suffix
from consumer.classify.encoders.open_clip import OpenClip
from consumer.classify.pictures.levels import levels
from tests.unit.consumer.classify.captions import cosines
from tests.unit.consumer.classify.photos import photo

CONTEXT = 77
Tower = Callable[[torch.Tensor], torch.Tensor]


@pytest.fixture
def compiled_for(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Torch compiles nothing, but the shapes for which it would have are noted."""
    shapes: list[tuple[int, ...]] = []

    def note(tower: Tower, dynamic: bool) -> Tower:
        def noted(batch: torch.Tensor) -> torch.Tensor:
            shapes.append(tuple(batch.shape))
            return tower(batch)

        return noted

    monkeypatch.setattr(torch, "compile", note)
    return shapes


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("number", [1, SIZES[0], SIZES[0] + 1, PART, 2 * PART + 3])
def test_rows_come_back_in_their_order_without_padding(number: int, compiled: bool) -> None:
    rows = [torch.full((2, 3), float(index)) for index in range(number)]
    vectors = Device("cpu", compiled=compiled).in_parts(rows, lambda batch: batch.sum((1, 2)).unsqueeze(1))
    assert vectors.squeeze(1).tolist() == [6.0 * index for index in range(number)]


@pytest.mark.slow
def test_a_compiled_tower_sees_no_shape_that_was_not_compiled_at_the_start(
    tiny_models: tuple[str, ...], compiled_for: list[tuple[int, ...]]
) -> None:
    plain, compiled = OpenClip("tiny", "random"), OpenClip("tiny", "random", compiled=True)
    at_start = set(compiled_for)
    pictures = [levels(np.array(photo(seed=seed))) for seed in range(11)]
    texts = [" ".join(["bridge"] * words) for words in (0, 1, 14, 15, 30, 31, 90)] * 2

    for number in (1, 8, 11):
        prepared = [plain.prepare(picture) for picture in pictures[:number]]
        assert cosines(compiled.encode_images(prepared).vectors, plain.encode_images(prepared).vectors).min() > 0.99999
    assert cosines(compiled.encode_texts(texts), plain.encode_texts(texts)).min() > 0.99999

    assert set(compiled_for) == at_start
    sizes = {(size, 3, 64, 64) for size in SIZES}
    assert at_start == sizes | {(size, length) for size in SIZES for length in (*LENGTHS, CONTEXT)}


def test_half_precision_is_the_arithmetics_alone() -> None:
    layer = torch.nn.Linear(4, 4)
    seen = []
    precisions: tuple[Precision, ...] = ("fp32", "bf16")
    for precision in precisions:
        with Device("cpu", precision).arithmetic():
            seen.append(layer(torch.ones(1, 4)).dtype)
    assert seen == [torch.float32, torch.bfloat16]
    assert layer.weight.dtype == torch.float32


@pytest.mark.slow
def test_prompts_are_computed_in_fp32_without_compiling(
    tiny_models: tuple[str, ...], compiled_for: list[tuple[int, ...]]
) -> None:
    encoder = OpenClip("tiny", "random", compiled=True)
    encoder._device._dtype = torch.bfloat16  # as on a GPU
    prompts = ["a photo of a bridge", "a bar"]
    exact = OpenClip("tiny", "random").encode_texts(prompts)
    assert np.abs(encoder.encode_texts(prompts) - exact).max() > 1e-4
    compiled_for.clear()
    assert np.abs(encoder.encode_prompts(prompts) - exact).max() < 1e-6
    assert compiled_for == []


@pytest.mark.parametrize(
    ("engine", "precision", "end"),
    [("torch", "fp32", ""), ("torch", "fp16", "+torch-fp16"), ("openvino", "fp32", "+openvino-fp32")],
)
def test_a_label_names_every_arithmetic_but_the_usual_one(engine: Engine, precision: Precision, end: str) -> None:
    assert suffix(engine, precision) == end
