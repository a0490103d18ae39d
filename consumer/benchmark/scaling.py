"""How throughput grows with worker processes, all at the same time, each on topics and in a group of its own.

What a common group costs when workers come and go is not measured: nothing comes or goes here.
"""

import multiprocessing
import queue
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from multiprocessing.context import SpawnProcess
from statistics import mean
from typing import Any

from consumer.benchmark import material
from consumer.benchmark.null import NullClassifier
from consumer.benchmark.pipeline import Run, Stopwatch, label
from consumer.benchmark.settings import BenchmarkSettings
from consumer.benchmark.topics import fill, own_topics
from consumer.classify.classifier import Classifier
from consumer.classify.factory import build_classifier
from consumer.classify.pictures.decode import PictureError
from consumer.label.settings import LabelSettings
from producer.base.errors import CommandError
from producer.post import Post


def run(settings: BenchmarkSettings, posts: Sequence[Post], workers: int, with_model: bool = False) -> Run:
    """What so many processes did together; stages are the means of the processes, memory is one process's.

    Args:
        settings: of the benchmark.
        posts: that each gets, again and again.
        workers: processes.
        with_model: each loads the model, on one device; else there is none.
    """
    spawn = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        each = [stack.enter_context(own_topics(settings)) for _ in range(workers)]
        for worker in each:
            fill(worker, posts, settings.process_posts if with_model else settings.null_posts // workers)
        together = spawn.Barrier(workers)
        results: Any = spawn.Queue()
        model = settings if with_model else None
        processes = [spawn.Process(target=_work, args=(w, model, together, results), daemon=True) for w in each]
        for process in processes:
            process.start()
        taken = list(_one_of_each(processes, results))
        for process in processes:
            process.join(30)
    return combined(taken)


def combined(runs: Sequence[Run]) -> Run:
    """Runs that took place at the same time, as one."""
    stages = {stage: mean(run.stages[stage] for run in runs) for stage in runs[0].stages}
    return Run(
        posts=sum(run.posts for run in runs),
        began=min(run.began for run in runs),
        ended=max(run.ended for run in runs),
        stages=stages,
        captions={outcome: sum(run.captions[outcome] for run in runs) for outcome in runs[0].captions},
        ages=[age for run in runs for age in run.ages],
        memory=runs[0].memory,
    )


def _work(settings: LabelSettings, model: BenchmarkSettings | None, together: Any, results: Any) -> None:
    stopwatch = Stopwatch()
    try:
        if model is None:
            classifier: Classifier = NullClassifier()
        else:
            classifier = build_classifier(model, stopwatch)
            with suppress(PictureError):  # a GPU loads its programs at the first batch
                classifier.classify(material.make(model.batch_size, model.photos))
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
