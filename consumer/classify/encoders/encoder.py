"""What a model must offer to classify: unit vectors of pictures and texts in one common space."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from consumer.classify.compute.cores import Cores
from consumer.classify.compute.device import on_cpu


class EncoderBug(RuntimeError):
    """The encoder broke its contract: another number of vectors than inputs. No retry can help."""


class NotFinite(RuntimeError):
    """The encoder returned a vector with NaN or infinity: no confidence could be told from it."""


class Images(NamedTuple):
    """What an encoder makes of pictures.

    Attributes:
        vectors: of unit length, in the space of the texts' vectors: ``[n, d]``.
        descriptors: of unit length, what tells pictures apart best where their vectors do not: ``[n, k]``. None: the
            vectors do.
    """

    vectors: NDArray[np.float32]
    descriptors: NDArray[np.float32] | None = None


class Encoder(Protocol):
    """A zero-shot model with an image and a text tower, or something that behaves like one.

    Attributes:
        name: which model and weights, and what computes them, as it stands in every label.
        identity: which model and weights: encoders of one identity share a space of vectors.
        image_logit_scale: inverse temperature of the softmax over places for pictures.
        text_logit_scale: the same for captions.
        default_threshold: confidence below which a post is not classified, unless set otherwise.
        default_templates: prompts of a place, with ``{wording}``, ``{name}`` or ``{description}``.
    """

    name: str
    identity: str
    image_logit_scale: float
    text_logit_scale: float
    default_threshold: float
    default_templates: tuple[str, ...]

    def prepare(self, levels: torch.Tensor) -> torch.Tensor:
        """What the image tower sees of one RGB picture, whose levels are uint8, ``[3, h, w]``. Thread-safe.

        Levels as well, uint8 ``[3, side, side]``: they are normalised in `encode_images`, all of a batch at once. A
        tower whose transform is another may take what that returns.
        """
        ...

    def encode_images(self, prepared: Sequence[torch.Tensor]) -> Images:
        """Vectors of prepared pictures. Raises what torch raises (out of memory …)."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of texts, ``[n, d]``. Raises what torch raises (out of memory …)."""
        ...

    def encode_prompts(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of the places' prompts, ``[n, d]``, in fp32 whatever the precision of captions is.

        They are encoded once, and an error in them would move every post towards the same places.
        """
        ...

    def encode_query(self, words: str) -> NDArray[np.float32]:
        """The unit vector of what a person looks for, ``[d]``, in fp32: pictures and captions near to it show that."""
        ...

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text as the tower sees it, start and end included."""
        ...

    def as_published(self) -> "Encoder":
        """The same weights, run as their authors' own code runs them; itself where that is how it works."""
        ...


def in_chunks_by_length(
    lengths: Sequence[int],
    encode: Callable[[list[int]], torch.Tensor],
    most: int,
    overhead: int | None,
    cores: Cores | None = None,
) -> torch.Tensor:
    """Encode texts of similar length together: a chunk costs as much as its longest text, for each of its texts.

    Args:
        lengths: of the texts, in tokens.
        encode: encodes the texts with these indices, ``[k, d]``.
        most: texts encoded together.
        overhead: what a chunk costs besides, in tokens; chunks are cut so that all together cost least. None: they are
            as large as they may be.
        cores: compute the chunks, one each; None: one chunk after the other.

    Returns:
        ``[n, d]`` on the CPU, in the order of ``lengths``.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    if overhead is None:
        ends = [*range(most, len(order), most), len(order)]
    else:
        ends = _cheapest([lengths[index] for index in order], most, overhead)
    chunks = [order[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    # With cores what takes longest first, so that they are done at about the same time.
    encoded = cores.each(encode, chunks[::-1])[::-1] if cores else [encode(chunk) for chunk in chunks]
    vectors = on_cpu(torch.cat(encoded).float())
    restored = torch.empty_like(vectors)
    restored[order] = vectors
    return restored


def _cheapest(lengths: Sequence[int], most: int, overhead: int) -> list[int]:
    """The ends of the chunks into which sorted lengths are cut at the least cost: for each end the best last chunk."""
    costs, starts = [0], [0]
    for end in range(1, len(lengths) + 1):
        cost, start = min(
            (costs[start] + overhead + lengths[end - 1] * (end - start), start)
            for start in range(max(0, end - most), end)
        )
        costs.append(cost)
        starts.append(start)
    ends = [len(lengths)]
    while starts[ends[0]]:
        ends.insert(0, starts[ends[0]])
    return ends
