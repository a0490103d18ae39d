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


def test_the_progress_bar_knows_how_many_steps_there_are() -> None:
    assert steps(BenchmarkSettings.model_validate({"parts": "null", "repeats": 2})) == 6
    assert (
        steps(BenchmarkSettings.model_validate({"parts": "scaling,age,processes", "repeats": 2, "workers": "1,2,4"}))
        == 15
    )
    another_engine = BenchmarkSettings.model_validate({"parts": "model", "repeats": 2, "engine": "openvino"})
    assert steps(another_engine) == steps(another_engine.model_copy(update={"engine": "torch"})) + 3
