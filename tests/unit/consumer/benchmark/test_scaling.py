from consumer.benchmark.pipeline import Run
from consumer.benchmark.scaling import combined


def test_processes_that_ran_at_the_same_time_count_from_the_first_beginning_to_the_last_end() -> None:
    one = Run(300, 10.0, 13.0, {"read": 0.001, "cpu": 0.002}, {"done": 300, "skipped": 0}, [0.5])
    other = Run(300, 11.0, 14.0, {"read": 0.003, "cpu": 0.004}, {"done": 200, "skipped": 100}, [0.7])

    both = combined([one, other])

    assert both.per_second == 600 / 4
    assert both.stages == {"read": 0.002, "cpu": 0.003}
    assert both.captions == {"done": 500, "skipped": 100}
    assert both.ages == [0.5, 0.7]
