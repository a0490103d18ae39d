"""Which posts of a dataset are taken: a choice by hash, which depends on no order and no number of runs."""

import hashlib
import heapq
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from pydantic import Field
from pydantic_settings import CliPositionalArg

from producer.base.errors import CommandError
from producer.base.settings import Settings
from producer.dataset.entry import Refused

T = TypeVar("T")
E = TypeVar("E", bound="Named")


class SelectionSettings(Settings):
    """A dataset, and which of its posts."""

    dataset: CliPositionalArg[Path] = Field(description="folder (InstaCities1M, InstaNY100K, pictures) or manifest")
    posts: int | None = Field(None, ge=1, description="so many at random (default: all)")
    seed: int = Field(0, description="of random choices; the same seed takes the same posts")
    cities: str | None = Field(None, min_length=1, description="only these cities: a,b")


@dataclass(frozen=True, slots=True)
class Chosen:
    """The posts that were chosen, by their names only: no picture was read.

    Attributes:
        ids: theirs; a million take 130 MB.
        sha256: of the sorted ids, joined by newlines.
        repeated: entries with the id of an earlier one, which is the one that counts.
        unnamed: entries without a usable id.
    """

    ids: frozenset[str]
    sha256: str
    repeated: int
    unnamed: tuple[Refused, ...]


def rank(seed: int, post_id: str) -> bytes:
    """What posts are drawn by, the smallest first: sha256 of ``seed|post_id``."""
    return hashlib.sha256(f"{seed}|{post_id}".encode()).digest()


class Smallest(Generic[T]):
    """The n items of the smallest rank among all that were added; memory for n."""

    def __init__(self, n: int, seed: int) -> None:
        self._n = n
        self._seed = seed
        self._heap: list[tuple[int, str, T]] = []  # by negative rank: the largest of those kept is on top

    def add(self, post_id: str, item: T) -> None:
        """Look at one item; each post_id comes once."""
        entry = (-int.from_bytes(rank(self._seed, post_id)), post_id, item)
        if len(self._heap) < self._n:
            heapq.heappush(self._heap, entry)
        elif entry[0] > self._heap[0][0]:
            heapq.heapreplace(self._heap, entry)

    def items(self) -> list[T]:
        """The items, those of the smallest rank first."""
        return [item for _, _, item in sorted(self._heap, key=lambda entry: -entry[0])]


class Named(Protocol):
    """An entry of a dataset or of an export."""

    @property
    def post_id(self) -> str | None: ...  # noqa: D102 # of the post


class Posts(Protocol):
    """What posts are chosen from: `entries` gives the same each time."""

    def entries(self, cities: Collection[str] | None = None) -> Iterator[Named]: ...  # noqa: D102


def choose(dataset: Posts, cities: Collection[str] | None, posts: int | None, seed: int) -> Chosen:
    """Go through a dataset's names and choose.

    Args:
        dataset: as opened.
        cities: only theirs; None for all.
        posts: how many at most; None for all.
        seed: of the choice.

    Raises:
        CommandError: the dataset cannot be read, or there is no post in it.
    """
    ids: set[str] = set()
    unnamed: list[Refused] = []
    repeated = 0
    for entry in dataset.entries(cities):
        post_id = entry.post_id
        if post_id is None or not _is_text(post_id):
            reason = entry.reason if isinstance(entry, Refused) else f"the post_id {post_id!r} is not UTF-8"
            unnamed.append(Refused(None, reason))
        elif post_id in ids:
            repeated += 1
        else:
            ids.add(post_id)
    if not ids:
        raise CommandError("the dataset (as chosen) has no posts" + (f": {unnamed[0]}" if unnamed else ""))
    if posts is not None and posts < len(ids):
        smallest = Smallest[str](posts, seed)
        for post_id in ids:
            smallest.add(post_id, post_id)
        ids = set(smallest.items())
    return Chosen(frozenset(ids), hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest(), repeated, tuple(unnamed))


def take(entries: Iterator[E], left: set[str]) -> Iterator[E]:
    """The entries with these ids, each once; they are taken out of the set."""
    for entry in entries:
        if entry.post_id in left:
            left.remove(entry.post_id)
            yield entry


def _is_text(post_id: str) -> bool:
    try:
        post_id.encode()
    except UnicodeEncodeError:
        return False
    return True
