"""How throughput grows with worker processes, each on topics of its own, all at the same time."""

import multiprocessing
import queue
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from multiprocessing.context import SpawnProcess
from typing import Any

from consumer.benchmark.null import NullClassifier
from consumer.benchmark.pipeline import Run, Stopwatch, label
from consumer.benchmark.settings import BenchmarkSettings
from consumer.benchmark.topics import fill, own_topics
from consumer.classify.pictures import PictureError
from consumer.classify.settings import build_classifier
from consumer.label.settings import LabelSettings
from producer.errors import CommandError
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
        taken = list(_one_of_each(processes, results))
        for process in processes:
            process.join(30)
    began, ended = min(run.began for run in taken), max(run.ended for run in taken)
    return sum(run.posts for run in taken) / (ended - began)


def _work(
    settings: LabelSettings, model: BenchmarkSettings | None, first: Sequence[Post], together: Any, results: Any
) -> None:
    stopwatch = Stopwatch()
    try:
        classifier = NullClassifier() if model is None else build_classifier(model, stopwatch)
        with suppress(PictureError):
            classifier.classify(first)  # a GPU loads its programs at the first batch
        together.wait()  # for the slowest to be ready
        results.put(label(settings, classifier, stopwatch))
    except CommandError as error:
        results.put(error)


def _one_of_each(processes: Sequence[SpawnProcess], results: Any) -> Iterator[Run]:
    """What the processes measured.

    Raises:
        CommandError: one could not.
    """
    for _ in processes:
        while True:
            with suppress(queue.Empty):
                result = results.get(timeout=1)
                break
            if dead := [process.exitcode for process in processes if process.exitcode]:
                raise CommandError(f"a worker process ended with exit code {dead[0]}")
        if isinstance(result, CommandError):
            raise result
        yield result
