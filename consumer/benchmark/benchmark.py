"""The command `benchmark`: every part in turn, again and again, so that a noisy machine is noisy for all of them."""

import logging
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, median

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from consumer import __version__
from consumer.benchmark import age, agreement, bare, limit, material, pipeline, report, scaling
from consumer.benchmark.bare import batches
from consumer.benchmark.null import NullClassifier
from consumer.benchmark.pipeline import Stopwatch
from consumer.benchmark.report import Figures
from consumer.benchmark.settings import BenchmarkSettings
from consumer.benchmark.topics import fill, own_topics
from consumer.classify.classifier import Classifier
from consumer.classify.factory import build_classifier, chosen_device
from consumer.start import check_checksum
from producer.base.settings import load
from producer.post import Post

Step = Callable[[str], None]
"""Is told what is measured next."""


def main(argv: list[str]) -> int:
    """Run `benchmark`.

    Raises:
        CommandError: one line: no broker, no weights, no such device, a folder without pictures.
    """
    settings = load(BenchmarkSettings, "python -m consumer benchmark", argv)
    logging.getLogger().addHandler(logging.NullHandler())
    check_checksum()
    console = Console(stderr=True)
    figures = Figures(machine(settings))
    columns = (TextColumn("{task.description:<44}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("loading", total=report.steps(settings))

        def step(what: str) -> None:
            progress.update(task, description=what)
            progress.advance(task)
            if not console.is_terminal:
                console.print(what)

        measure(settings, figures, step)
    report.show(settings, figures)
    return 0


def machine(settings: BenchmarkSettings) -> dict[str, str]:
    """What was measured on, for whoever compares two reports."""
    return {
        "placestream": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cpu": f"{_cpu()}, {os.cpu_count()} cores, {torch.get_num_threads()} torch threads",
        "gpu": _gpu(settings),
    }


def _cpu() -> str:
    """Its model, or at least its kind, and the widest instructions that torch uses of it."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text("utf-8").splitlines() if described.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{next(names, platform.machine())}, {torch.backends.cpu.get_cpu_capability()}"


def _gpu(settings: BenchmarkSettings) -> str:
    """The CUDA device that the settings choose."""
    device = chosen_device(settings.device, settings.engine)
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else "none"


def measure(settings: BenchmarkSettings, figures: Figures, step: Step) -> None:
    """Every part that was asked for."""
    posts = material.make(settings.posts, settings.photos)
    figures.facts["bytes per picture"] = mean(len(post.picture) for post in posts)
    if {"model", "age"} & set(settings.parts):
        stopwatch = Stopwatch()
        classifier = build_classifier(settings, stopwatch)
        figures.machine["encoder"] = classifier.encoder_name
        figures.facts["tokens per caption"] = mean(classifier.token_counts([post.caption or "" for post in posts]))
        if "model" in settings.parts:
            _measure_model(settings, classifier, stopwatch, posts, figures, step)
        if "age" in settings.parts:
            _measure_age(settings, classifier, stopwatch, posts, figures, step)
    if "null" in settings.parts:
        _measure_null(settings, posts, figures, step)
    if "scaling" in settings.parts:
        _measure_scaling(settings, posts, figures, step, with_model=False)
    if "processes" in settings.parts:
        _measure_scaling(settings, posts, figures, step, with_model=True)


def _measure_model(
    settings: BenchmarkSettings,
    classifier: Classifier,
    stopwatch: Stopwatch,
    posts: Sequence[Post],
    figures: Figures,
    step: Step,
) -> None:
    everything = classifier.with_decision(replace(classifier.decision, ensemble="ensemble"))
    step("warming up")
    half = classifier.with_decision(replace(classifier.decision, ensemble="conditional", gate=_gate(everything, posts)))
    ways = {"authors' own": everything.as_published(), "bare": everything, "bare, half sure": half}
    pipelines = {"pipeline": everything, "pipeline, half sure": half}
    if settings.engine != "torch":
        pipelines["pipeline, torch fp32"] = _yardstick(settings, everything, stopwatch, posts, figures, step)
    for number in range(settings.repeats):
        for name, way in ways.items():
            step(f"{name}, {number + 1} of {settings.repeats}")
            taken = bare.seconds(way, posts, settings.batch_size, settings.decode_threads)
            figures.add(name, len(posts) / taken)
        for name, way in pipelines.items():
            step(f"{name}, {number + 1} of {settings.repeats}")
            with own_topics(settings) as worker:
                fill(worker, posts, len(posts))
                figures.add_run(name, pipeline.label(worker, way, stopwatch))


def _yardstick(
    settings: BenchmarkSettings,
    everything: Classifier,
    stopwatch: Stopwatch,
    posts: Sequence[Post],
    figures: Figures,
    step: Step,
) -> Classifier:
    """The same model computed by torch in fp32; how near the chosen engine comes to it is measured at once."""
    step("comparing with torch fp32")
    in_torch = build_classifier(
        settings.model_copy(update={"engine": "torch", "precision": "fp32", "calibration": None}), stopwatch
    )
    in_torch = in_torch.with_decision(everything.decision)
    found = agreement.of(everything, in_torch, posts, settings.batch_size)
    figures.facts["worst cosine to torch fp32, pictures"] = found.image_cosine
    figures.facts["worst cosine to torch fp32, captions"] = found.text_cosine
    figures.facts["labels equal to torch fp32's, share"] = found.equal_labels
    figures.facts["where not: torch's place is likelier by a factor of at most"] = found.lead
    return in_torch


def _gate(classifier: Classifier, posts: Sequence[Post]) -> float:
    """The gate above which the image is sure for half of the posts."""
    looking = classifier.with_decision(replace(classifier.decision, ensemble="only-image"))
    return median(label.image.confidence for batch in batches(posts, 32) for label in looking.classify(batch))


def _measure_null(settings: BenchmarkSettings, posts: Sequence[Post], figures: Figures, step: Step) -> None:
    null, number = NullClassifier(), settings.null_posts
    for turn in range(settings.repeats):
        with own_topics(settings) as worker:
            step(f"filling a topic, {turn + 1} of {settings.repeats}")
            fill(worker, posts, number)
            step(f"consume and transact, {turn + 1} of {settings.repeats}")
            figures.add("consume and transact", number / limit.seconds(worker, *null.record(worker)))
            step(f"pipeline without a model, {turn + 1} of {settings.repeats}")
            figures.add_run("pipeline without a model", pipeline.label(worker, null, Stopwatch()))


def _measure_age(
    settings: BenchmarkSettings,
    classifier: Classifier,
    stopwatch: Stopwatch,
    posts: Sequence[Post],
    figures: Figures,
    step: Step,
) -> None:
    step("how fast it is, to know how fast posts may come")
    with own_topics(settings) as worker:
        fill(worker, posts, min(len(posts), 4 * settings.batch_size))
        rate = settings.rate * pipeline.label(worker, classifier, stopwatch).per_second
    step(f"age of a post at {rate:.1f} posts/s")
    with own_topics(settings) as worker:
        figures.ages = age.under_load(worker, classifier, stopwatch, posts, rate, settings.load_seconds)
    figures.facts["arrival rate"] = rate
    step("a lone post on an idle worker")
    with own_topics(settings) as worker:
        lone = age.alone(worker, classifier, stopwatch, posts)
    figures.facts["a lone post, seconds"] = median(lone)
    figures.facts["deadline + one inference, seconds"] = settings.batch_deadline + age.inference(classifier, posts)


def _measure_scaling(
    settings: BenchmarkSettings, posts: Sequence[Post], figures: Figures, step: Step, with_model: bool
) -> None:
    for turn in range(settings.repeats):
        for workers in settings.workers:
            name = f"{workers} worker{'s' * (workers > 1)} {'with the' if with_model else 'without a'} model"
            step(f"{name}, {turn + 1} of {settings.repeats}")
            figures.add_run(name, scaling.run(settings, posts, workers, with_model))
