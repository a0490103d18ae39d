"""How old a post is when its label is committed: under a steady load, and alone on an idle worker."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from kafka import KafkaProducer

from consumer.benchmark.pipeline import Run, Stopwatch, label
from consumer.benchmark.topics import producer, send
from consumer.classify.classifier import Classifier
from consumer.label.settings import LabelSettings
from producer.base.errors import CommandError
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
    with _working(settings, classifier, stopwatch, posts[0]) as (running, sender):
        began = time.monotonic()
        for index in range(number):
            time.sleep(max(0.0, began + index / rate - time.monotonic()))
            send(sender, settings, posts[index % len(posts)])
        _wait(running, 1 + number)
    return running.ages[1:]


def alone(settings: LabelSettings, classifier: Classifier, stopwatch: Stopwatch, posts: Sequence[Post]) -> list[float]:
    """Seconds from entry to commit of posts that find the worker idle."""
    with _working(settings, classifier, stopwatch, posts[0]) as (running, sender):
        for number, post in enumerate(posts[1 : ALONE + 1], start=2):
            send(sender, settings, post).get(60)
            _wait(running, number)
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
def _working(
    settings: LabelSettings, classifier: Classifier, stopwatch: Stopwatch, first: Post
) -> Iterator[tuple[Run, KafkaProducer]]:
    """A worker beside the block; what it has done so far, and who sends it posts.

    It has joined its group and labelled the first post, whose age is of no use: it waited for the group.
    """
    running, stop, sender = Run(), threading.Event(), producer(settings)
    settings = settings.model_copy(update={"stop_at_end": False})
    worker = threading.Thread(target=label, args=(settings, classifier, stopwatch, running, stop), daemon=True)
    worker.start()
    try:
        send(sender, settings, first).get(60)
        _wait(running, 1)
        yield running, sender
    finally:
        stop.set()
        worker.join(PATIENCE)
        sender.close(timeout=5)


def _wait(running: Run, number: int) -> None:
    """Until so many posts are labelled.

    Raises:
        CommandError: they are not, in all that time.
    """
    deadline = time.monotonic() + PATIENCE
    while running.posts < number:
        if time.monotonic() > deadline:
            raise CommandError(f"the worker labelled {running.posts} of {number} posts and no more in {PATIENCE:.0f} s")
        time.sleep(0.01)
