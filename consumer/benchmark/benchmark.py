"""The command `benchmark`: every part in turn, again and again, so that a noisy machine is noisy for all of them."""

import logging
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
from consumer.benchmark.report import NULL_VECTORS, VECTORS, Figures
from consumer.benchmark.settings import BenchmarkSettings
from consumer.benchmark.topics import fill, own_topics
from consumer.classify.classifier import Classifier
from consumer.classify.factory import build_classifier, chosen_device
from consumer.start import check_checksum
from producer.base.settings import load
from producer.post import Post


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

        Bench(settings, material.make(settings.posts, settings.photos), figures, step).measure()
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


@dataclass(frozen=True, slots=True)
class Bench:
    """The parts of a benchmark, on the same posts.

    Attributes:
        settings: of the benchmark.
        posts: that every part labels, again and again where it needs more.
        figures: take what was measured.
        step: is told what is measured next.
    """

    settings: BenchmarkSettings
    posts: Sequence[Post]
    figures: Figures
    step: Callable[[str], None]

    def measure(self) -> None:
        """Every part that was asked for."""
        parts, facts = self.settings.parts, self.figures.facts
        facts["bytes per picture"] = mean(len(post.picture) for post in self.posts)
        if {"model", "age"} & set(parts):
            stopwatch = Stopwatch()
            classifier = build_classifier(self.settings, stopwatch)
            self.figures.machine["encoder"] = classifier.encoder_name
            facts["tokens per caption"] = mean(classifier.token_counts([post.caption or "" for post in self.posts]))
            if "model" in parts:
                self._model(classifier, stopwatch)
            if "age" in parts:
                self._age(classifier, stopwatch)
        if "null" in parts:
            self._null()
        if "scaling" in parts:
            self._scaling(with_model=False)
        if "processes" in parts:
            self._scaling(with_model=True)

    def _model(self, classifier: Classifier, stopwatch: Stopwatch) -> None:
        settings, posts = self.settings, self.posts
        everything = classifier.with_decision(replace(classifier.decision, ensemble="ensemble"))
        self.step("warming up")
        gate = _gate(everything, posts)
        half = classifier.with_decision(replace(classifier.decision, ensemble="conditional", gate=gate))
        ways = {"authors' own": everything.as_published(), "bare": everything, "bare, half sure": half}
        pipelines = {"pipeline": everything, "pipeline, half sure": half}
        if "vectors" in settings.parts:
            pipelines[VECTORS] = everything
        if settings.engine != "torch":
            pipelines["pipeline, torch fp32"] = self._yardstick(everything, stopwatch)
        for number in range(settings.repeats):
            for name, way in ways.items():
                self.step(f"{name}, {number + 1} of {settings.repeats}")
                taken = bare.seconds(way, posts, settings.batch_size, settings.decode_threads)
                self.figures.add(name, len(posts) / taken)
            for name, way in pipelines.items():
                self.step(f"{name}, {number + 1} of {settings.repeats}")
                with own_topics(settings, vectors=name == VECTORS) as worker:
                    fill(worker, posts, len(posts))
                    self.figures.add_run(name, pipeline.label(worker, way, stopwatch))

    def _yardstick(self, everything: Classifier, stopwatch: Stopwatch) -> Classifier:
        """The same model computed by torch in fp32; how near the chosen engine comes to it is measured at once."""
        self.step("comparing with torch fp32")
        plain = self.settings.model_copy(update={"engine": "torch", "precision": "fp32", "calibration": None})
        in_torch = build_classifier(plain, stopwatch).with_decision(everything.decision)
        found = agreement.of(everything, in_torch, self.posts, self.settings.batch_size)
        self.figures.facts |= {
            "worst cosine to torch fp32, pictures": found.image_cosine,
            "worst cosine to torch fp32, captions": found.text_cosine,
            "labels equal to torch fp32's, share": found.equal_labels,
            "where not: torch's place is likelier by a factor of at most": found.lead,
        }
        return in_torch

    def _null(self) -> None:
        null, number, repeats = NullClassifier(), self.settings.null_posts, self.settings.repeats
        for turn in range(repeats):
            with own_topics(self.settings) as worker:
                self.step(f"filling a topic, {turn + 1} of {repeats}")
                fill(worker, self.posts, number)
                self.step(f"consume and transact, {turn + 1} of {repeats}")
                self.figures.add("consume and transact", number / limit.seconds(worker, *null.record(worker)))
                self.step(f"pipeline without a model, {turn + 1} of {repeats}")
                self.figures.add_run("pipeline without a model", pipeline.label(worker, null, Stopwatch()))
            if "vectors" in self.settings.parts:
                with own_topics(self.settings, vectors=True) as worker:
                    self.step(f"filling a topic, {turn + 1} of {repeats}")
                    fill(worker, self.posts, number)
                    self.step(f"{NULL_VECTORS}, {turn + 1} of {repeats}")
                    self.figures.add_run(NULL_VECTORS, pipeline.label(worker, null, Stopwatch()))

    def _age(self, classifier: Classifier, stopwatch: Stopwatch) -> None:
        settings, posts, facts = self.settings, self.posts, self.figures.facts
        self.step("how fast it is, to know how fast posts may come")
        with own_topics(settings) as worker:
            fill(worker, posts, min(len(posts), 4 * settings.batch_size))
            rate = settings.rate * pipeline.label(worker, classifier, stopwatch).per_second
        self.step(f"age of a post at {rate:.1f} posts/s")
        with own_topics(settings) as worker:
            self.figures.ages = age.under_load(worker, classifier, stopwatch, posts, rate, settings.load_seconds)
        facts["arrival rate"] = rate
        self.step("a lone post on an idle worker")
        with own_topics(settings) as worker:
            facts["a lone post, seconds"] = median(age.alone(worker, classifier, stopwatch, posts))
        facts["deadline + one inference, seconds"] = settings.batch_deadline + age.inference(classifier, posts)

    def _scaling(self, with_model: bool) -> None:
        for turn in range(self.settings.repeats):
            for workers in self.settings.workers:
                name = f"{workers} worker{'s' * (workers > 1)} {'with the' if with_model else 'without a'} model"
                self.step(f"{name}, {turn + 1} of {self.settings.repeats}")
                self.figures.add_run(name, scaling.run(self.settings, self.posts, workers, with_model))


def _gate(classifier: Classifier, posts: Sequence[Post]) -> float:
    """The gate above which the image is sure for half of the posts."""
    looking = classifier.with_decision(replace(classifier.decision, ensemble="only-image"))
    return median(label.image.confidence for batch in batches(posts, 32) for label in looking.classify(batch))
