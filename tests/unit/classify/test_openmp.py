"""In a process of its own: pytest's has threads of many kinds."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

PROGRAM = """
import os, torch
from consumer.classify.openmp import release_threads

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


@pytest.mark.skipif(
    not list((Path(torch.__file__).parent / "lib").glob("libgomp*")), reason="this torch comes with another OpenMP"
)
def test_the_threads_of_a_thread_end_and_come_back() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "0", "2"]
