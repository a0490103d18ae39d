"""Reads and decodes a dataset's posts in threads, two batches ahead of the model that consumes them."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from consumer.classify.compute.cores import each_alone
from consumer.classify.pictures.decode import PictureError
from consumer.classify.pictures.pool import AT_ONCE
from producer.dataset.entry import Entry, Refused
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
    entries: Iterable[Entry | Refused],
    prepare: Callable[[Sequence[Post]], Iterator[T | PictureError]],
    size: int,
    threads: int,
) -> Iterator[list[Ready[T] | Failure]]:
    """Batches in the order of the entries (all of which have an id), one outcome per entry.

    Args:
        entries: gone through lazily, on the caller's thread.
        prepare: thread-safe; gives an error where a picture cannot be used.
        size: entries in a batch.
        threads: that read and prepare.
    """
    rest = iter(entries)
    waiting: deque[list[Future[list[Ready[T] | Failure]]]] = deque()
    pool = each_alone(threads, "decode")
    try:
        while True:
            while len(waiting) <= AHEAD and (batch := list(itertools.islice(rest, size))):
                chunks = (batch[start : start + AT_ONCE] for start in range(0, len(batch), AT_ONCE))
                waiting.append([pool.submit(_prepared, chunk, prepare) for chunk in chunks])
            if not waiting:
                return
            yield [outcome for future in waiting.popleft() for outcome in future.result()]
    finally:
        pool.shutdown(cancel_futures=True)


def _prepared(
    entries: Sequence[Entry | Refused], prepare: Callable[[Sequence[Post]], Iterator[T | PictureError]]
) -> list[Ready[T] | Failure]:
    posts = [_read(entry) for entry in entries]
    prepared = prepare([post for post in posts if isinstance(post, Post)])
    return [post if isinstance(post, Failure) else _outcome(post, next(prepared)) for post in posts]


def _read(entry: Entry | Refused) -> Post | Failure:
    if isinstance(entry, Refused):
        return Failure(str(entry.post_id), "refused", entry.reason)
    try:
        return entry.read(LARGEST_FILE)
    except Refused as error:
        return Failure(str(entry.post_id), "refused", error.reason)


def _outcome(post: Post, prepared: T | PictureError) -> Ready[T] | Failure:
    if isinstance(prepared, PictureError):
        return Failure(post.post_id, prepared.reason, str(prepared))
    return Ready(post, prepared)
