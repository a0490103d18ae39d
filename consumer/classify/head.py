"""The zero-shot head: unit vectors in, labels out. Arithmetic alone; it knows no model."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from consumer.classify.broader import BroaderAnswers
from consumer.classify.decision import Decision, ranked, softmax
from consumer.classify.label import Broader, Label, Ranking
from consumer.classify.places import Group


class Head:
    """What decides between the places of a label set.

    Args:
        categories: names of the places.
        place_vectors: of unit length, ``[p, d]``.
        image_logit_scale: inverse temperature of the softmax over places for pictures.
        text_logit_scale: the same for captions.
        decision: how picture and caption decide.
        top: places named in each ranking.
        groups: of the places, from the finest level.
    """

    def __init__(
        self,
        categories: Sequence[str],
        place_vectors: NDArray[np.float32],
        image_logit_scale: float,
        text_logit_scale: float,
        decision: Decision,
        top: int = 5,
        groups: Sequence[Group] = (),
    ) -> None:
        self.categories = tuple(categories)
        self.place_vectors = place_vectors
        self.image_logit_scale = image_logit_scale
        self.text_logit_scale = text_logit_scale
        self.decision = decision
        self._columns = torch.from_numpy(place_vectors).double().T
        self.groups = tuple(groups)
        self._broader = BroaderAnswers(groups, self.categories)
        self._top = min(top, len(self.categories))

    def cosines(self, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
        """Of each vector ``[n, d]`` with every place, ``[n, p]``.

        By torch: NumPy's BLAS has threads of its own, which look for more work for a while and slow the captions down.
        """
        return np.asarray((torch.from_numpy(vectors).double() @ self._columns).numpy())

    def of_images(self, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
        """Probabilities of the places ``[n, p]`` for pictures ``[n, d]``."""
        return softmax(self.image_logit_scale * self.cosines(vectors))

    def of_texts(self, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
        """Probabilities of the places ``[n, p]`` for captions ``[n, d]``."""
        return softmax(self.text_logit_scale * self.cosines(vectors))

    def needs_caption(self, of_images: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether the picture does not decide alone, for probabilities of the places ``[n, p]``."""
        return ~self.decision.needs_no_caption(of_images.max(axis=1))

    def labels(
        self, of_images: NDArray[np.float64], asked: NDArray[np.intp], of_texts: NDArray[np.float64]
    ) -> list[Label]:
        """The labels of posts, as far as vectors tell.

        Args:
            of_images: probabilities of the places for the pictures, ``[n, p]``.
            asked: posts whose captions count, ``[m]``.
            of_texts: probabilities of the places for these captions, ``[m, p]``.
        """
        combined = self.decision.combine(of_images[asked], of_texts)
        images = self._rankings(of_images)
        texts = dict(zip(asked, self._rankings(of_texts), strict=True))
        both = dict(zip(asked, self._rankings(combined), strict=True))
        deciding = of_images.copy()
        deciding[asked] = combined
        broader = self._broader_answers(deciding)
        return [
            self._label(image, texts.get(index), both.get(index, image), broader.get(index))
            for index, image in enumerate(images)
        ]

    def _broader_answers(self, deciding: NDArray[np.float64]) -> dict[int, Broader | None]:
        """Of the rows ``[n, p]`` that reach no place, by their number."""
        least = self.decision.broader_threshold
        if least is None:
            return {}
        rows = np.flatnonzero(~self.decision.classifies(deciding.max(axis=1)))
        return dict(zip(rows.tolist(), self._broader.of(deciding[rows], least), strict=True))

    def _rankings(self, of_places: NDArray[np.float64]) -> list[Ranking]:
        """Of each row ``[n, p]``."""
        ranks = [(places.tolist(), shares.tolist()) for places, shares in ranked(of_places, self._top)]
        tops = [
            tuple((self.categories[places[row]], shares[row]) for places, shares in ranks)
            for row in range(len(of_places))
        ]
        return [Ranking(*top[0], top) for top in tops]

    def _label(self, image: Ranking, text: Ranking | None, deciding: Ranking, broader: Broader | None) -> Label:
        return Label(
            place=deciding.place if self.decision.classifies(deciding.confidence) else None,
            confidence=deciding.confidence,
            top=deciding.top,
            decided_by="image" if text is None else "ensemble",
            image=image,
            text=text,
            broader=broader,
        )
