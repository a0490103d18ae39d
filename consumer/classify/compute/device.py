"""How a batch is computed: on a GPU in parts whose copies overlap with computing; if compiled, in few shapes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from consumer.classify.compute.engine import Precision

PART = 128
"""Rows that a GPU computes together: while one part is computed the next one is copied."""

SIZES = (32, PART)
"""Rows to which a batch is padded for a compiled tower; every shape is compiled once, at the start."""

LENGTHS = (16, 32)
"""Tokens to which its texts are padded, besides the most that the model takes."""

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Device:
    """A torch device, and how it is used.

    Args:
        name: cpu, cuda, cuda:N or mps.
        precision: of the arithmetic, by autocast; weights and results stay in fp32.
        compiled: whether towers are compiled, for few shapes to which batches are padded.
    """

    def __init__(self, name: str, precision: Precision = "fp32", compiled: bool = False) -> None:
        self.torch = torch.device(name)
        self.compiled = compiled
        self._dtype = DTYPES.get(precision)
        self._copies: Any = torch.cuda.Stream(self.torch) if self.torch.type == "cuda" else None  # type: ignore[no-untyped-call]

    def tower(self, encode: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
        """What encodes a batch, compiled if that is wanted. ``reduce-overhead`` would tie it to one thread."""
        return torch.compile(encode, dynamic=False) if self.compiled else encode

    def plain(self) -> "Device":
        """The same device, in fp32 and not compiled."""
        return Device(str(self.torch))

    @contextmanager
    def arithmetic(self) -> Iterator[None]:
        """In the precision that was asked for."""
        with torch.autocast(self.torch.type, self._dtype, enabled=self._dtype is not None):
            yield

    def rows(self, number: int) -> int:
        """How many rows a batch of so many is padded to."""
        return _padded(number, SIZES) if self.compiled else number

    def length(self, tokens: int, longest: int) -> int:
        """How many tokens the texts of a batch are padded to; at most the model's longest."""
        return min(_padded(tokens, (*LENGTHS, longest)), longest) if self.compiled else tokens

    def in_parts(self, rows: Sequence[torch.Tensor], encode: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """Encode rows of one shape.

        Args:
            rows: inputs of a tower, on the CPU or on the device.
            encode: ``[k, …] -> [k, d]``, on the device.

        Returns:
            ``[n, d]`` on the device.
        """
        if self.torch.type == "cpu" and not self.compiled:
            return encode(torch.stack(list(rows)))
        parts = [rows[start : start + PART] for start in range(0, len(rows), PART)]
        # Nothing here waits for the GPU: this thread copies the next part while the last is computed.
        return torch.cat([encode(self._copied(part))[: len(part)] for part in parts])

    def _copied(self, part: Sequence[torch.Tensor]) -> torch.Tensor:
        """The rows as one batch on the device, padded."""
        padding = [torch.zeros_like(part[0])] * (self.rows(len(part)) - len(part))
        if self._copies is None or any(row.is_cuda for row in part):
            return torch.stack([row.to(self.torch) for row in (*part, *padding)])
        batch = torch.empty((len(part) + len(padding), *part[0].shape), dtype=part[0].dtype, pin_memory=True)
        torch.stack([*part, *padding], out=batch)
        computing = torch.cuda.current_stream(self.torch)
        with torch.cuda.stream(self._copies):
            copied = batch.to(self.torch, non_blocking=True)
        computing.wait_stream(self._copies)
        copied.record_stream(computing)  # its memory is not given away before it is computed
        return copied


def on_cpu(vectors: torch.Tensor) -> torch.Tensor:
    """The vectors on the CPU; a thread that waits for a GPU sleeps, where ``vectors.cpu()`` keeps a core busy.

    CUDA's own choice is to look again and again, as long as a process has fewer devices than there are cores: several
    workers on one GPU would take the cores from each other's decoding.
    """
    if vectors.device.type != "cuda":
        return vectors.cpu()
    copied = torch.empty(vectors.shape, dtype=vectors.dtype, pin_memory=True)
    copied.copy_(vectors, non_blocking=True)
    event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
    event.record(torch.cuda.current_stream(vectors.device))  # without it, of the first device
    event.synchronize()
    return copied


def _padded(number: int, steps: Sequence[int]) -> int:
    return next((step for step in steps if step >= number), number)
