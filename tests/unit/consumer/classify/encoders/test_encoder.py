"""How texts are put together for a text tower."""

from itertools import combinations

import numpy as np
import pytest
import torch

from consumer.classify.compute.cores import Cores
from consumer.classify.encoders.encoder import in_chunks_by_length


def chunks_of(lengths: list[int], most: int, overhead: int | None) -> list[list[int]]:
    """The lengths that are encoded together; the vectors must come in the order of the texts."""
    seen: list[list[int]] = []

    def encode(chosen: list[int]) -> torch.Tensor:
        seen.append([lengths[index] for index in chosen])
        return torch.tensor([[float(index)] for index in chosen])

    assert in_chunks_by_length(lengths, encode, most, overhead).flatten().tolist() == list(range(len(lengths)))
    return seen


def cost(chunks: list[list[int]], overhead: int) -> int:
    return sum(overhead + max(chunk) * len(chunk) for chunk in chunks)


def test_without_an_overhead_chunks_are_as_large_as_they_may_be() -> None:
    assert chunks_of([5, 3, 9, 1, 7], most=2, overhead=None) == [[1, 3], [5, 7], [9]]


def test_similar_lengths_go_together() -> None:
    assert chunks_of([70, 5, 6, 71, 5, 40], most=16, overhead=15) == [[5, 5, 6], [40], [70, 71]]


def test_vectors_are_in_the_texts_order_whichever_core_computed_them() -> None:
    def encode(chosen: list[int]) -> torch.Tensor:
        return torch.tensor([[float(index)] for index in chosen])

    lengths = [70, 5, 6, 71, 5, 40]
    vectors = in_chunks_by_length(lengths, encode, most=2, overhead=15, cores=Cores())
    assert vectors.flatten().tolist() == list(range(len(lengths)))


def test_a_chunk_that_costs_much_is_shared() -> None:
    assert chunks_of([70, 5, 6, 71, 5, 40], most=16, overhead=1000) == [[5, 5, 6, 40, 70, 71]]


@pytest.mark.parametrize("most", [1, 3, 8])
@pytest.mark.parametrize("overhead", [0, 7, 30])
def test_no_other_cuts_cost_less(most: int, overhead: int) -> None:
    lengths = np.random.default_rng(most).integers(3, 77, 8).tolist()
    ordered = sorted(lengths)
    every_way = [
        [ordered[start:end] for start, end in zip([0, *cuts], [*cuts, 8], strict=True)]
        for number in range(8)
        for cuts in combinations(range(1, 8), number)
    ]
    least = min(cost(way, overhead) for way in every_way if max(map(len, way)) <= most)

    found = chunks_of(lengths, most, overhead)

    assert cost(found, overhead) == least
    assert max(map(len, found)) <= most
