"""How throughput grows with worker processes: without a model, each on topics of its own, all at the same time."""

import multiprocessing
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from consumer.benchmark.null import NullClassifier
from consumer.benchmark.pipeline import Run, Stopwatch, label
from consumer.benchmark.settings import BenchmarkSettings
from consumer.benchmark.topics import fill, own_topics
from consumer.label.settings import LabelSettings
from producer.post import Post


def per_second(settings: BenchmarkSettings, posts: Sequence[Post], workers: int) -> float:
    """Posts per second of so many processes together."""
    spawn = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        each = [stack.enter_context(own_topics(settings)) for _ in range(workers)]
        for worker in each:
            fill(worker, posts, settings.null_posts // workers)
        together = spawn.Barrier(workers)
        results: Any = spawn.Queue()
        processes = [spawn.Process(target=_work, args=(worker, together, results), daemon=True) for worker in each]
        for process in processes:
            process.start()
        taken: list[Run] = [results.get(timeout=300) for _ in processes]
        for process in processes:
            process.join(30)
    began, ended = min(run.began for run in taken), max(run.ended for run in taken)
    return sum(run.posts for run in taken) / (ended - began)


def _work(settings: LabelSettings, together: Any, results: Any) -> None:
    classifier = NullClassifier()
    together.wait(120)
    results.put(label(settings, classifier, Stopwatch()))
