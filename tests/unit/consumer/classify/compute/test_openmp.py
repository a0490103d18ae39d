"""In processes of their own: pytest's has threads of many kinds."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.skipif(
    not list((Path(torch.__file__).parent / "lib").glob("libgomp*")), reason="this torch comes with another OpenMP"
)

RELEASED = """
import os, torch
from concurrent.futures import ThreadPoolExecutor
from consumer.classify.compute.openmp import release_threads

def compute():
    return torch.ones(2_000, 2_000).exp().sum().item()

def threads():
    return len(os.listdir("/proc/self/task"))

torch.set_num_threads(3)
before = threads()
expected = compute()
print(threads() - before)
release_threads()
print(threads() - before)
assert compute() == expected
print(threads() - before)
"""

DECODED = """
import os, torch
from concurrent.futures import ThreadPoolExecutor
from consumer.classify.compute.cores import each_alone
from consumer.classify.pictures.levels import middle_square

def threads():
    return len(os.listdir("/proc/self/task"))

def prepare(picture):
    middle_square(picture, 224)
    middle_square(picture.float(), 224)  # of bytes torch needs no team where the CPU has AVX2

torch.set_num_threads(3)
pictures = [torch.zeros(3, 480, 640, dtype=torch.uint8)] * 8
with each_alone(2, "decode") as pool, ThreadPoolExecutor(1) as another:
    list(another.map(len, pictures))
    before = threads()
    list(pool.map(prepare, pictures))
    print(threads() - before)
    list(another.map(prepare, pictures))
    print(threads() - before)
"""


@pytest.mark.slow
def test_the_threads_of_a_thread_end_and_come_back() -> None:
    done = subprocess.run([sys.executable, "-c", RELEASED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "0", "2"]


@pytest.mark.slow
def test_decoding_starts_no_threads_besides_the_pools() -> None:
    """Another thread's does: the second line shows that they are seen."""
    done = subprocess.run([sys.executable, "-c", DECODED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "2"]
