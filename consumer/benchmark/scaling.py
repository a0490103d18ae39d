"""How throughput grows with worker processes, each on topics of its own, all at the same time."""

import multiprocessing
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from consumer.benchmark.null import NullClassifier
from consumer.benchmark.pipeline import Run, Stopwatch, label
from consumer.benchmark.settings import BenchmarkSettings
from consumer.benchmark.topics import fill, own_topics
from consumer.classify.settings import build_classifier
from consumer.label.settings import LabelSettings
from producer.post import Post


def per_second(settings: BenchmarkSettings, posts: Sequence[Post], workers: int, with_model: bool = False) -> float:
    """Posts per second of so many processes together.

    Args:
        settings: of the benchmark.
        posts: that each gets, without a model again and again.
        workers: processes.
        with_model: each loads the model, on one device; else there is none.
    """
    spawn = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        each = [stack.enter_context(own_topics(settings)) for _ in range(workers)]
        for worker in each:
            fill(worker, posts, len(posts) if with_model else settings.null_posts // workers)
        together = spawn.Barrier(workers)
        results: Any = spawn.Queue()
        model = settings if with_model else None
        first = posts[: settings.batch_size]
        processes = [spawn.Process(target=_work, args=(w, model, first, together, results), daemon=True) for w in each]
        for process in processes:
            process.start()
        taken: list[Run] = [results.get(timeout=3600 if with_model else 300) for _ in processes]
        for process in processes:
            process.join(30)
    began, ended = min(run.began for run in taken), max(run.ended for run in taken)
    return sum(run.posts for run in taken) / (ended - began)


def _work(
    settings: LabelSettings, model: BenchmarkSettings | None, first: Sequence[Post], together: Any, results: Any
) -> None:
    stopwatch = Stopwatch()
    classifier = NullClassifier() if model is None else build_classifier(model, stopwatch)
    classifier.classify(first)  # a GPU loads its programs at the first batch
    together.wait(1800)  # for the slowest to be ready
    results.put(label(settings, classifier, stopwatch))
