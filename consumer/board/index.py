"""The vectors of the kept posts, a bounded number of them, and which are nearest to another vector. Thread-safe."""

import threading
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from consumer.classify.identity import is_of
from consumer.classify.label import Vectors
from consumer.record import SourceRecord

Part = Literal["image", "text", "descriptor"]


@dataclass(frozen=True, slots=True)
class Kept:
    """A post whose vectors are kept.

    Attributes:
        source: the post's own record.
    """

    post_id: str
    city: str
    source: SourceRecord


@dataclass(frozen=True, slots=True)
class Near:
    """A kept post, and the cosine of its vector with the one that was asked for."""

    post: Kept
    cosine: float


@dataclass(frozen=True, slots=True)
class Counted:
    """What there is to search.

    Attributes:
        posts: whose vectors are kept.
        captions: those of them whose caption has one.
        others: vectors that were left out: they are of another encoder.
        other: the name of such an encoder, the latest; empty without one.
        trouble: why no vectors come, as a sentence; None while they do.
    """

    posts: int
    captions: int
    others: int
    other: str
    trouble: str | None


class Index:
    """A ring: the newest vectors take the place of the oldest. Of a post that comes again the newest ones stay."""

    def __init__(self, identity: str, dimensions: int, posts: int) -> None:
        """Begin empty.

        Args:
            identity: of the encoder whose vectors are kept.
            dimensions: numbers of its vectors.
            posts: most posts that are kept.
        """
        self._identity = identity
        self._lock = threading.Lock()
        self._kept: list[Kept | None] = [None] * posts
        self._at: dict[tuple[str, str], int] = {}  # city and id -> row
        self._next = 0
        self._rows: dict[Part, _Rows] = {part: _Rows(posts, dimensions) for part in ("image", "text")}
        self._others, self._other = 0, ""
        self._trouble: str | None = None

    def add(self, post: Kept, encoder: str, vectors: Vectors) -> None:
        """Keep a post's vectors, unless they are of another encoder.

        Args:
            post: the post.
            encoder: the name that its vectors bear.
            vectors: of unit length.
        """
        parts: dict[Part, NDArray[np.floating] | None] = {
            "image": vectors.image,
            "text": vectors.text,
            "descriptor": vectors.descriptor,
        }
        with self._lock:
            is_own = is_of(encoder, self._identity)
            if is_own and vectors.descriptor is not None and "descriptor" not in self._rows:
                self._rows["descriptor"] = _Rows(len(self._kept), len(vectors.descriptor))
            if not is_own or not all(
                vector is None or len(vector) == self._rows[part].dimensions for part, vector in parts.items()
            ):
                self._others, self._other = self._others + 1, encoder
                return
            if (before := self._at.pop((post.city, post.post_id), None)) is not None:
                self._forget(before)
            row, self._next = self._next, (self._next + 1) % len(self._kept)
            if (oldest := self._kept[row]) is not None:
                del self._at[oldest.city, oldest.post_id]
            self._kept[row] = post
            self._at[post.city, post.post_id] = row
            for part, rows in self._rows.items():
                rows.put(row, parts[part])

    def say(self, trouble: str | None) -> None:
        """Set why no vectors come; None: they do."""
        self._trouble = trouble

    def near(self, vector: NDArray[np.float32], part: Part, most: int) -> list[Near]:
        """The kept posts that are nearest to a vector, the nearest first.

        Args:
            vector: of unit length.
            part: what of the posts it is compared with; posts without it are left out.
            most: of them.
        """
        with self._lock:
            return self._near(vector, part, most)

    def like(self, city: str, post_id: str, most: int) -> tuple[Kept, list[Near]] | None:
        """A kept post, and others whose pictures are like its own, by what tells pictures apart best; None: not kept.

        Args:
            city: of the post.
            post_id: its id in that city.
            most: of the others.
        """
        with self._lock:
            row = self._at.get((city, post_id))
            post = None if row is None else self._kept[row]
            if row is None or post is None:
                return None
            described = self._rows.get("descriptor")
            part: Part = "descriptor" if described is not None and described.there[row] else "image"
            found = self._near(self._rows[part].vectors[row], part, most + 1)
            return post, [each for each in found if each.post is not post][:most]

    def has(self, city: str, post_id: str) -> bool:
        """Whether a post's vectors are kept."""
        return (city, post_id) in self._at

    def ids(self) -> set[str]:
        """Of all kept posts."""
        with self._lock:
            return {post_id for _, post_id in self._at}

    def counted(self) -> Counted:
        """What there is to search, now."""
        with self._lock:
            captions = int(self._rows["text"].there.sum())
            return Counted(len(self._at), captions, self._others, self._other, self._trouble)

    def _near(self, vector: NDArray[np.float32], part: Part, most: int) -> list[Near]:
        rows = self._rows[part]
        cosines = np.where(rows.there, rows.cosines(vector), -np.inf)
        most = min(most, int(rows.there.sum()))
        best: list[int] = np.argpartition(-cosines, most - 1)[:most].tolist() if most else []
        best.sort(key=lambda row: (-cosines[row], row))
        kept = [(self._kept[row], float(cosines[row])) for row in best]
        return [Near(post, cosine) for post, cosine in kept if post is not None]

    def _forget(self, row: int) -> None:
        self._kept[row] = None
        for rows in self._rows.values():
            rows.there[row] = False


class _Rows:
    """One part of each post's vectors.

    Attributes:
        dimensions: numbers of a vector.
        vectors: float32 ``[posts, dimensions]``; memory is taken as they come.
        there: which of them are, ``[posts]``.
    """

    def __init__(self, posts: int, dimensions: int) -> None:
        self.dimensions = dimensions
        self.vectors = np.zeros((posts, dimensions), np.float32)
        self.there = np.zeros(posts, np.bool_)

    def cosines(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """With all of them, ``[posts]``.

        By torch, as the query is encoded: NumPy's threads would wait for torch's, and torch's for them.
        """
        import torch  # here, not at the top: it is slow to import, and a board without search has no need of it

        product: NDArray[np.float32] = (torch.from_numpy(self.vectors) @ torch.from_numpy(vector)).numpy()
        return product

    def put(self, row: int, vector: NDArray[np.floating] | None) -> None:
        self.there[row] = vector is not None
        if vector is not None:
            self.vectors[row] = vector
