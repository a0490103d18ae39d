"""The soak itself, for a few seconds: that it runs, and that its figures are right."""

import pytest

from tests.faults.soak import JUDGED_FROM, MOST_PER_HOUR, Memory, main, only_grows, slope


def test_a_short_soak_keeps_every_promise(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--minutes", "0.1", "--per-second", "300", "--faults", "kill,count"]) == 0
    assert "nothing lost, nothing doubled" in capsys.readouterr().out


def test_memory_is_judged_without_the_warm_up() -> None:
    minutes = range(10)
    held = Memory("a", [minute / 60 for minute in minutes], [100 + 50 * (minute < 2) + minute for minute in minutes])

    warm = held.warm(120)

    assert warm.mib[0] == 102
    per_hour, error = slope(warm)
    assert per_hour == pytest.approx(60)
    assert error == pytest.approx(0, abs=1e-6)
    assert held.warm(3600).mib == []


@pytest.mark.parametrize(("seconds", "per_hour", "judged"), [(1, 1.1, True), (1, 0.9, False), (0.5, 9, False)])
def test_memory_that_only_grows_breaks_a_promise_if_it_was_watched_for_long_enough(
    seconds: float, per_hour: float, judged: bool
) -> None:
    hours = [look * seconds * JUDGED_FROM / 3600 / 100 for look in range(102)]
    held = Memory("a", hours, [300 + hour * per_hour * MOST_PER_HOUR for hour in hours])

    assert only_grows(held) == judged
