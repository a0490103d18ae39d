"""Linear layers in fp32 by oneDNN, on a CPU: weights are laid out once, and AVX-512 is used whoever made the CPU.

PyTorch leaves these layers to Intel's MKL, which on AMD's CPUs stops at AVX2. The two operators used here are the ones
that PyTorch's compiler puts in their place (torch/_inductor/fx_passes/mkldnn_fusion.py).
"""

import logging
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from consumer.classify.compute.engine import Tower

log = logging.getLogger(__name__)

KEPT = 128
"""Operators, each compiled for one shape, that stay for the next batch: 32 captions take 30 to 45, the convolutions of
conse's pictures 50 besides. Captions come in hundreds of shapes: with 1,024 of each, the default, they took 0.6 GiB
and no less time."""
for _cache in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):  # oneDNN's own, and PyTorch's above it
    os.environ.setdefault(_cache, str(KEPT))  # read at the first use

LEAST_COSINE = 0.99999
"""Between the vectors with oneDNN and without: they differ by rounding alone."""


class Linear(torch.nn.Linear):
    """`torch.nn.Linear` for inference; its weights are in oneDNN's own layout, for these operators alone."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        torch.nn.Module.__init__(self)  # no weights besides
        self.out_features, self.in_features = weight.shape
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach())
        self.bias: Any = None if bias is None else bias.detach()

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """``[…, in] -> […, out]``."""
        computed: torch.Tensor = torch.ops.mkldnn._linear_pointwise(rows, self.weight, self.bias, "none", [], "")
        return computed


class Attention(torch.nn.Module):
    """`torch.nn.MultiheadAttention` for inference, without weights as a result and without padding masks."""

    def __init__(self, attention: torch.nn.MultiheadAttention) -> None:
        super().__init__()
        self._heads = attention.num_heads
        biases = (None,) * 3 if attention.in_proj_bias is None else attention.in_proj_bias.chunk(3)
        projections = zip(attention.in_proj_weight.chunk(3), biases, strict=True)
        self._projections = torch.nn.ModuleList(Linear(*of) for of in projections)
        self._out = Linear(attention.out_proj.weight, attention.out_proj.bias)

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        need_weights: bool = False,
        attn_mask: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, None]:
        """``[n, length, d]`` three times; the mask is added, ``[length, length]`` or one for each row and head."""
        if need_weights or (attn_mask is not None and not attn_mask.is_floating_point()):
            raise NotImplementedError("attention weights as a result, or a mask that is not added")
        projected = (project(rows) for project, rows in zip(self._projections, (query, key, value), strict=True))
        q, k, v = (rows.view(*rows.shape[:2], self._heads, -1).transpose(1, 2) for rows in projected)
        if attn_mask is not None and attn_mask.ndim == 3:
            attn_mask = attn_mask.view(-1, self._heads, *attn_mask.shape[1:])
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask)
        return self._out(attended.transpose(1, 2).flatten(2)), None


def use(network: torch.nn.Module, towers: Callable[[], Sequence[Tower]]) -> bool:
    """Let oneDNN compute a network's linear layers, if each tower then gives the same vectors; else change nothing.

    Some networks cannot: they read the weights of their layers instead of calling them.

    Args:
        network: on the CPU, in fp32 and in evaluation mode.
        towers: gives all that the network is used for.

    Returns:
        Whether it does.
    """
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not available or platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    replaced: list[tuple[torch.nn.Module, str, torch.nn.Module]] = []
    try:
        compared = towers()
        expected = [_vectors(tower) for tower in compared]
        for parent, name, layer in list(_layers(network)):
            setattr(parent, name, _counterpart(layer))
            replaced.append((parent, name, layer))
        computed = [_vectors(tower) for tower in compared]
        cosines = [F.cosine_similarity(*pair, dim=-1).min().item() for pair in zip(expected, computed, strict=True)]
        if all(cosine >= LEAST_COSINE for cosine in cosines):  # not so of NaN
            return True
        reason = f"vectors differ (cosines {', '.join(f'{cosine:.6f}' for cosine in cosines)})"
    except Exception as error:  # whatever a network or another version of PyTorch raises
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
    for parent, name, layer in replaced:
        setattr(parent, name, layer)
    log.info("oneDNN cannot compute this network's linear layers, so PyTorch does: %s", reason)
    return False


@torch.inference_mode()
def _vectors(tower: Tower) -> torch.Tensor:
    return tower.encode(tower.example)


def _layers(network: torch.nn.Module) -> Iterator[tuple[torch.nn.Module, str, torch.nn.Module]]:
    """Each layer that has a counterpart, with its owner and its name there."""
    for name, layer in network.named_children():
        if type(layer) is torch.nn.Linear or _is_plain_attention(layer):
            yield network, name, layer
        elif not isinstance(layer, torch.nn.MultiheadAttention):
            yield from _layers(layer)


def _is_plain_attention(layer: torch.nn.Module) -> bool:
    return (
        type(layer) is torch.nn.MultiheadAttention
        and layer.batch_first
        and layer.in_proj_weight is not None
        and layer.bias_k is None
        and not layer.add_zero_attn
    )


def _counterpart(layer: torch.nn.Module) -> torch.nn.Module:
    if isinstance(layer, torch.nn.MultiheadAttention):
        return Attention(layer)
    assert isinstance(layer, torch.nn.Linear)
    return Linear(layer.weight, layer.bias)
