"""Threads that compute with themselves alone, where torch would give each operation to a team of threads."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Row = TypeVar("Row")
Part = TypeVar("Part")


def each_alone(threads: int, name: str) -> ThreadPoolExecutor:
    """A pool whose threads compute alone; all of them are there at once.

    While a process has more threads that compute than there are cores, OpenMP lets the model's sleep after every
    operation. Which operations torch divides among a team depends on the CPU: without AVX2 also resizing is one.

    Args:
        threads: how many there are.
        name: that theirs begin with.
    """
    number = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, thread_name_prefix=name, initializer=_compute_alone)
    together = threading.Barrier(threads)
    for begun in [pool.submit(together.wait) for _ in range(threads)]:
        begun.result()
    torch.set_num_threads(number)  # of threads to come: a thread that sets its own number sets theirs as well
    return pool


class Cores:
    """As many threads as torch computes with, each of which computes a part of a batch alone.

    Where torch divides each operation among its threads, they wait for one another after every one; and while one of
    the cores decodes pictures, for that. It costs networks of many small layers most: of `conse`'s pipeline a tenth.
    """

    def __init__(self) -> None:
        self._number = torch.get_num_threads()
        self._threads = each_alone(self._number, "core")

    def parts(self, rows: Sequence[Row], most: int) -> list[Sequence[Row]]:
        """A batch in parts of at most so many rows; of fewer where some core would have none."""
        size = max(1, min(most, -(-len(rows) // self._number)))
        return [rows[start : start + size] for start in range(0, len(rows), size)]

    def each(self, compute: Callable[[Part], torch.Tensor], parts: Sequence[Part]) -> list[torch.Tensor]:
        """Compute parts, in their order; a single one in this thread, by all threads of torch together.

        Raises:
            Exception: what computing a part raises.
        """
        if len(parts) == 1:
            return [compute(parts[0])]

        def inferred(part: Part) -> torch.Tensor:
            with torch.inference_mode():  # each thread has its own mode
                return compute(part)

        return list(self._threads.map(inferred, parts))


def _compute_alone() -> None:
    torch.get_num_threads()  # a thread's first question gives it the number of all
    torch.set_num_threads(1)
