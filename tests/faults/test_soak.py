"""The soak itself, for a few seconds: that it runs, and that its figures are right."""

import pytest

from tests.faults.soak import Memory, main, slope


@pytest.mark.timeout(600)
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
