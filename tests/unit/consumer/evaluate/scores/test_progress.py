import io
import re
import sys
from types import SimpleNamespace

import pytest
from rich.console import Console

from consumer.evaluate.scores import progress as module
from consumer.evaluate.scores.progress import EVERY, progress


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """What the bar is drawn on."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("consumer.evaluate.scores.progress.time", SimpleNamespace(monotonic=clock))
    return clock


def test_without_a_terminal_a_line_comes_now_and_then_with_an_estimate(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress("posts", 10_000, 4_000) as advance:
        clock.now += EVERY - 0.1
        advance(500)
        assert capsys.readouterr().err == ""
        clock.now += 50.1
        advance(1_500)
        # 2,000 in a minute, those of an earlier run left out: two minutes for the other 4,000
        assert capsys.readouterr().err == "posts: 6000 of 10000, about 2 min left\n"
        clock.now += EVERY - 0.1
        advance(1)
        assert capsys.readouterr().err == ""
        clock.now += 0.1
        advance(1)
        assert capsys.readouterr().err.startswith("posts: 6002 of 10000, about 2 min left")
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_it_is_a_bar_with_an_estimate_that_goes_away(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(
        module, "Console", lambda stderr: Console(file=terminal, width=100, force_terminal=True, get_time=clock)
    )
    with progress("posts", 1_000, 400) as advance:
        for _ in range(3):
            clock.now += 20
            advance(100)
    *_, last = re.findall(r"posts [^\r\n]*", re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", terminal.getvalue()))
    # 60 s have passed; 200 in the 40 s between the first and the last report: 60 s for the other 300
    assert last.split()[-3:] == ["700/1000", "0:01:00", "0:01:00"]
    assert terminal.getvalue().endswith("\x1b[2K"), "the last thing is that its line is cleared"
