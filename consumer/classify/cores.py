"""The cores of a CPU, each computing a part of a batch alone: no operation waits until all cores are done with it."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Row = TypeVar("Row")
Part = TypeVar("Part")


class Cores:
    """As many threads as torch computes with, each of which computes with itself alone.

    Where torch divides each operation among its threads, they wait for one another after every one; and while one of
    the cores decodes pictures, for that. It costs networks of many small layers most: of `conse`'s pipeline a tenth.
    """

    def __init__(self) -> None:
        self._number = torch.get_num_threads()
        self._threads = ThreadPoolExecutor(self._number, thread_name_prefix="core", initializer=_compute_alone)
        together = threading.Barrier(self._number)
        for begun in [self._threads.submit(together.wait) for _ in range(self._number)]:
            begun.result()
        torch.set_num_threads(self._number)  # of threads to come: a thread that sets its own number sets theirs as well

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
