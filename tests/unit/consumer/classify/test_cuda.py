"""On a CUDA device; where there is none these are the only tests that are left out."""

import numpy as np
import pytest
import torch

from consumer.classify.compute import nvjpeg
from consumer.classify.compute.engine import Precision
from consumer.classify.encoders.open_clip import OpenClip
from consumer.classify.pictures.decode import PictureLimits, decode
from consumer.classify.pictures.levels import levels, plain_jpeg
from tests.unit.consumer.classify.photos import encoded, photo

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture(autouse=True)
def nothing_compiled() -> None:
    torch.compiler.reset()  # what an earlier test compiled counts towards torch's limit of 8 versions


CAPTIONS = ["", "the bridge", "so blue, I love it " * 5, "x"] * 40


@pytest.mark.parametrize(("precision", "least"), [("fp32", 0.9999), ("bf16", 0.999), ("fp16", 0.9999)])
@pytest.mark.parametrize("compiled", [False, True])
def test_vectors_are_the_cpus(vit_b_32: OpenClip, precision: Precision, least: float, compiled: bool) -> None:
    if compiled and precision == "bf16":
        pytest.skip("compiling takes minutes: fp32 and fp16 are enough")
    gpu = OpenClip("ViT-B-32", "random", "cuda", precision=precision, compiled=compiled)
    prepared = [gpu.prepare(levels(np.array(photo(320, 240, seed=seed)))) for seed in range(3)] * 90
    alone = vit_b_32.encode_images(prepared[:3]).vectors
    images = gpu.encode_images(prepared).vectors.reshape(90, 3, -1)
    assert (images * alone).sum(axis=2).min() > least
    assert (gpu.encode_texts(CAPTIONS) * vit_b_32.encode_texts(CAPTIONS)).sum(axis=1).min() > least
    assert images.dtype == np.float32
    prompts = CAPTIONS[:4]
    assert np.abs(gpu.encode_prompts(prompts) - vit_b_32.encode_texts(prompts)).max() < 1e-5


def test_jpegs_decoded_on_the_gpu_are_nearly_pillows() -> None:
    jpeg = encoded(photo(320, 240), "JPEG", quality=90)
    decoded = plain_jpeg(jpeg, PictureLimits(), nvjpeg.decoder("cuda"))
    assert decoded is not None
    assert decoded.is_cuda
    own = levels(decode(jpeg, PictureLimits())).int()
    assert (decoded.cpu().int() - own).abs().float().mean() < 2
    gpu = OpenClip("ViT-B-32", "random", "cuda")
    apart = gpu.prepare(decoded).cpu().int() - gpu.prepare(decoded.cpu()).int()
    assert apart.abs().max() <= 2


def test_what_nvjpeg_cannot_decode_is_left_to_pillow() -> None:
    broken = b"\xff\xd8\xff\xe0" + bytes(100) + b"\xff\xd9"
    assert plain_jpeg(broken, PictureLimits(), nvjpeg.decoder("cuda")) is None
