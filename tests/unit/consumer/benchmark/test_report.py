import pytest

from consumer.benchmark.report import Figures, as_json, steps
from consumer.benchmark.settings import BenchmarkSettings


def test_a_ratio_is_the_median_of_the_repeats_own_ratios() -> None:
    figures = Figures({})
    for bare, pipeline in ((100, 90), (10, 9.8), (50, 40)):  # the machine was ten times slower the second time
        figures.add("bare", bare)
        figures.add("pipeline", pipeline)

    ((one, other, ratio, goal),) = figures.ratios()

    assert (one, other, ratio, goal) == ("pipeline", "bare", 0.9, 0.95)
    assert as_json(figures)["ratios"] == [{"of": "pipeline", "to": "bare", "ratio": 0.9, "goal": 0.95}]


def test_several_workers_are_compared_with_one_of_the_same_kind() -> None:
    figures = Figures({})
    for name, per_second in (
        ("1 worker without a model", 1000),
        ("2 workers without a model", 1500),
        ("1 worker with the model", 30),
        ("2 workers with the model", 33),
        ("4 workers with the model", 36),
    ):
        figures.add(name, per_second)

    assert figures.ratios() == [
        ("2 workers without a model", "1 worker without a model", 1.5, None),
        ("2 workers with the model", "1 worker with the model", 1.1, None),
        ("4 workers with the model", "1 worker with the model", 1.2, None),
    ]


def test_no_percentile_is_beyond_the_oldest_post() -> None:
    facts = as_json(Figures({}, ages=[0.1] * 19 + [1.0]))["facts"]

    assert facts == {"age of a post, p50 seconds": 0.1, "age of a post, p99 seconds": pytest.approx(0.829)}


def test_the_progress_bar_knows_how_many_steps_there_are() -> None:
    assert steps(BenchmarkSettings.model_validate({"parts": "null", "repeats": 2})) == 6
    assert steps(BenchmarkSettings.model_validate({"parts": "null,vectors", "repeats": 2})) == 10
    assert (
        steps(BenchmarkSettings.model_validate({"parts": "scaling,age,processes", "repeats": 2, "workers": "1,2,4"}))
        == 15
    )
    another_engine = BenchmarkSettings.model_validate({"parts": "model", "repeats": 2, "engine": "openvino"})
    assert steps(another_engine) == steps(another_engine.model_copy(update={"engine": "torch"})) + 3
