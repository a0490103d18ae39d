"""What the benchmark found, as a table, as JSON and as a chart."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles

from rich.console import Console
from rich.table import Table

from consumer.benchmark.pipeline import Run
from consumer.benchmark.settings import BenchmarkSettings

VECTORS = "pipeline, vectors"
NULL_VECTORS = "pipeline without a model, vectors"
"""Pipelines that publish vectors as well."""

GOALS = (
    ("pipeline", "bare", 0.95),
    ("pipeline, half sure", "bare, half sure", 0.95),
    ("pipeline", "authors' own", 1.25),
    ("pipeline, half sure", "authors' own", 1.5),
    ("pipeline", "pipeline, torch fp32", 2.0),
    (VECTORS, "pipeline", 0.95),
    ("pipeline without a model", "consume and transact", 0.6),
    (NULL_VECTORS, "pipeline without a model", 0.7),
)
"""Throughput of the first over that of the second, and what it should be at least (2 cores, ViT-B-32, torch in fp32).

Another engine is compared with torch's fp32, and must be near it as well (`FACT_GOALS`).
"""

WIDTH = 140
"""Columns of the tables in a file or a pipe, where rich would take 80 and cut the stages' names."""

FACT_GOALS = {
    "worst cosine to torch fp32, pictures": 0.999,
    "worst cosine to torch fp32, captions": 0.999,
    "labels equal to torch fp32's, share": 0.98,
}
"""What another engine's agreement should be at least."""


@dataclass(slots=True)
class Figures:
    """Everything that was measured.

    Attributes:
        machine: where.
        per_second: posts per second of each way, once per repeat.
        runs: the last run of each pipeline.
        facts: single numbers.
        ages: seconds from entry to commit under load.
    """

    machine: dict[str, str]
    per_second: dict[str, list[float]] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    facts: dict[str, float] = field(default_factory=dict)
    ages: list[float] = field(default_factory=list)

    def add(self, name: str, per_second: float) -> None:
        """One measurement."""
        self.per_second.setdefault(name, []).append(per_second)

    def add_run(self, name: str, run: Run) -> None:
        """One measurement of a pipeline."""
        self.add(name, run.per_second)
        self.runs[name] = run

    def ratios(self) -> list[tuple[str, str, float, float | None]]:
        """Dividend, divisor, median of the ratios repeat by repeat, goal; several workers over one have none."""
        growth = [
            (name, f"1 worker {name.partition(' workers ')[2]}", None)
            for name in self.per_second
            if " workers " in name
        ]
        return [
            (one, other, median(a / b for a, b in zip(self.per_second[one], self.per_second[other], strict=True)), goal)
            for one, other, goal in (*GOALS, *growth)
            if one in self.per_second and other in self.per_second
        ]


def steps(settings: BenchmarkSettings) -> int:
    """How many things are measured one after the other."""
    yardstick = settings.engine != "torch"
    vectors = "vectors" in settings.parts
    each = {
        "model": 5 + yardstick + vectors,
        "null": 3 + 2 * vectors,
        "scaling": len(settings.workers),
        "processes": len(settings.workers),
    }
    once = {"model": 1 + yardstick, "age": 3}
    return sum(settings.repeats * each.get(part, 0) + once.get(part, 0) for part in settings.parts)


def show(settings: BenchmarkSettings, figures: Figures) -> None:
    """Print the tables; write JSON and chart where asked."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    for table in (_throughput(figures), _ratios(figures), _stages(figures), _facts(figures)):
        if table.row_count:
            console.print(table)
    if settings.json:
        settings.json.write_text(json.dumps(as_json(figures), indent=2) + "\n", encoding="utf-8")
        console.print(f"every figure: {settings.json}")
    if settings.plot:
        _plot(figures, str(settings.plot))
        console.print(f"chart: {settings.plot}")


def as_json(figures: Figures) -> dict[str, object]:
    """Every figure under the name it has in the tables."""
    return {
        "machine": figures.machine,
        "posts_per_second": figures.per_second,
        "ratios": [
            {"of": one, "to": other, "ratio": ratio, "goal": goal} for one, other, ratio, goal in figures.ratios()
        ],
        "seconds_per_post": {name: run.stages for name, run in figures.runs.items()},
        "captions": {name: run.captions for name, run in figures.runs.items()},
        "memory_mib": {name: run.memory.mib for name, run in figures.runs.items()},
        "facts": figures.facts | _ages(figures.ages),
    }


def _throughput(figures: Figures) -> Table:
    title = ", ".join(f"{name} {value}" for name, value in figures.machine.items())
    table = Table("posts/s", "median", "least", "most", title=title, title_justify="left")
    for name, values in figures.per_second.items():
        table.add_row(name, *(f"{value:,.1f}" for value in (median(values), min(values), max(values))))
    return table


def _ratios(figures: Figures) -> Table:
    table = Table("ratio of throughputs", "median", "goal")
    for one, other, ratio, goal in figures.ratios():
        table.add_row(f"{one} / {other}", f"{ratio:.2f}", f"{goal:.2f}" if goal else "")
    return table


def _stages(figures: Figures) -> Table:
    names = ("read", "decode", "image", "text", "publish", "cpu")
    table = Table("ms per post (stages overlap)", *names, "captions skipped", "MiB", "grown by")
    for name, run in figures.runs.items():
        captions = sum(run.captions.values())
        growth, error = run.memory.growth()
        table.add_row(
            name,
            *(f"{1000 * run.stages[stage]:.2f}" if stage in run.stages else "" for stage in names),
            f"{run.captions['skipped'] / captions:.0%}" if captions else "",
            f"{run.memory.last:,.0f}",
            f"{growth:+.1f} ± {error:.1f}",
        )
    return table


def _facts(figures: Figures) -> Table:
    table = Table("measured besides", "", "goal")
    for name, value in (figures.facts | _ages(figures.ages)).items():
        goal = FACT_GOALS.get(name)
        table.add_row(name, f"{value:,.5g}" if value < 100 else f"{value:,.0f}", f"{goal:g}" if goal else "")
    return table


def _ages(ages: Sequence[float]) -> dict[str, float]:
    if len(ages) < 2:
        return {}
    percentiles = quantiles(ages, n=100, method="inclusive")  # none beyond the oldest, however few
    return {"age of a post, p50 seconds": percentiles[49], "age of a post, p99 seconds": percentiles[98]}


def _plot(figures: Figures, path: str) -> None:
    from matplotlib.figure import Figure  # not at the top: it takes a second

    figure = Figure(figsize=(8, 0.6 * len(figures.per_second) + 1.2), layout="constrained")
    axes = figure.subplots()
    names = list(figures.per_second)[::-1]
    axes.barh(names, [median(figures.per_second[name]) for name in names])
    axes.set_xscale("log")
    axes.set_xlabel("posts per second (median)")
    figure.savefig(path)
