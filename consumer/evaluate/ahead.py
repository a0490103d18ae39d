"""Reads and decodes a dataset's posts in threads, two batches ahead of the model that consumes them."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from consumer.classify.cores import each_alone
from consumer.classify.pictures import PictureError
from producer.entry import Entry, Refused
from producer.post import Post

T = TypeVar("T")

AHEAD = 2
"""Batches that are decoded while the model works on one."""

LARGEST_FILE = 64 * 2**20
"""Bytes of a picture's file that are read at all; what is larger than MAX_IMAGE_BYTES is then refused by its name."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A post that has no result: reason as in a dead letter, or ``refused`` where its files cannot be read."""

    post_id: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Ready(Generic[T]):
    """A post that was read, and what was made of its picture."""

    post: Post
    prepared: T


def batches(
    entries: Iterable[Entry | Refused], prepare: Callable[[Post], T], size: int, threads: int
) -> Iterator[list[Ready[T] | Failure]]:
    """Batches in the order of the entries (all of which have an id), one outcome per entry.

    Args:
        entries: gone through lazily, on the caller's thread.
        prepare: thread-safe; raises `PictureError` where a picture cannot be used.
        size: entries in a batch.
        threads: that read and prepare.
    """
    rest = iter(entries)
    waiting: deque[list[Future[Ready[T] | Failure]]] = deque()
    pool = each_alone(threads, "decode")
    try:
        while True:
            while len(waiting) <= AHEAD and (batch := list(itertools.islice(rest, size))):
                waiting.append([pool.submit(_read, entry, prepare) for entry in batch])
            if not waiting:
                return
            yield [future.result() for future in waiting.popleft()]
    finally:
        pool.shutdown(cancel_futures=True)


def _read(entry: Entry | Refused, prepare: Callable[[Post], T]) -> Ready[T] | Failure:
    post_id = str(entry.post_id)
    if isinstance(entry, Refused):
        return Failure(post_id, "refused", entry.reason)
    try:
        post = entry.read(LARGEST_FILE)
        return Ready(post, prepare(post))
    except Refused as error:
        return Failure(post_id, "refused", error.reason)
    except PictureError as error:
        return Failure(post_id, error.reason, str(error))
