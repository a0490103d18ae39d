"""The bare model: posts in memory, batch after batch, nothing else. What no pipeline can beat with the same work."""

import time
from collections.abc import Iterator, Sequence
from itertools import chain

from consumer.classify.classifier import Classifier
from consumer.classify.compute.cores import each_alone
from consumer.classify.pictures.pool import AT_ONCE
from producer.post import Post


def seconds(classifier: Classifier, posts: Sequence[Post], batch_size: int, decode_threads: int) -> float:
    """Seconds to label all posts: decode a batch in a pool, encode it, decide."""
    with each_alone(decode_threads, "decode") as pool:
        started = time.perf_counter()
        for batch in batches(posts, batch_size):
            decoded = pool.map(classifier.decode_all, batches(batch, AT_ONCE))
            classifier.label(list(chain.from_iterable(decoded)))
        return time.perf_counter() - started


def batches(posts: Sequence[Post], size: int) -> Iterator[Sequence[Post]]:
    """The posts in their order, in parts of this size."""
    for start in range(0, len(posts), size):
        yield posts[start : start + size]
