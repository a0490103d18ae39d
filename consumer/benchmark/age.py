"""How old a post is when its label is committed: under a steady load, and alone on an idle worker."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from consumer.benchmark.pipeline import Run, Stopwatch, label
from consumer.benchmark.topics import producer, send
from consumer.classify.classifier import Classifier
from consumer.label.settings import LabelSettings
from producer.post import Post

ALONE = 5
"""Lone posts, one after the other."""
PATIENCE = 300.0
"""Seconds that anything may take."""


def under_load(
    settings: LabelSettings,
    classifier: Classifier,
    stopwatch: Stopwatch,
    posts: Sequence[Post],
    rate: float,
    seconds: float,
) -> list[float]:
    """Seconds from entry to commit of posts that come at this rate (posts/s) for so many seconds."""
    number = max(20, int(seconds * rate))
    with _working(settings, classifier, stopwatch) as running:
        sender = producer(settings)
        began = time.monotonic()
        for index in range(number):
            time.sleep(max(0.0, began + index / rate - time.monotonic()))
            send(sender, settings, posts[index % len(posts)])
        _wait(running, number)
        sender.close(timeout=5)
    return running.ages


def alone(settings: LabelSettings, classifier: Classifier, stopwatch: Stopwatch, posts: Sequence[Post]) -> list[float]:
    """Seconds from entry to commit of posts that find the worker idle."""
    with _working(settings, classifier, stopwatch) as running:
        sender = producer(settings)
        for index in range(ALONE + 1):  # the first one also waits for the group
            send(sender, settings, posts[index]).get(60)
            _wait(running, index + 1)
        sender.close(timeout=5)
    return running.ages[1:]


def inference(classifier: Classifier, posts: Sequence[Post]) -> float:
    """Seconds that one post takes in the classifier alone: the longest of a few."""
    taken = []
    for post in posts[:ALONE]:
        started = time.perf_counter()
        classifier.classify([post])
        taken.append(time.perf_counter() - started)
    return max(taken)


@contextmanager
def _working(settings: LabelSettings, classifier: Classifier, stopwatch: Stopwatch) -> Iterator[Run]:
    """A worker beside the block; what it has done so far."""
    running, stop = Run(), threading.Event()
    settings = settings.model_copy(update={"stop_at_end": False})
    worker = threading.Thread(target=label, args=(settings, classifier, stopwatch, running, stop), daemon=True)
    worker.start()
    try:
        yield running
    finally:
        stop.set()
        worker.join(PATIENCE)


def _wait(running: Run, number: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while running.posts < number and time.monotonic() < deadline:
        time.sleep(0.01)
