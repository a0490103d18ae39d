"""What the demonstration prints and where it ends, without a broker and without a model."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from deploy import demo
from producer.base.errors import CommandError
from tests.labels import labeled_value
from tests.unit.deploy.compose import ROOT


def labels(*post_ids: str, **changes: Any) -> list[tuple[str, bytes]]:
    return [(post_id, json.dumps(labeled_value(post_id=post_id, **changes)).encode()) for post_id in post_ids]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that were typed; `sample` writes two posts, and nothing else does anything."""
    commands: list[list[str]] = []

    def run(command: list[str], check: bool) -> subprocess.CompletedProcess[bytes]:
        commands.append(command[2:])
        if command[2:4] == ["producer", "sample"]:
            city = Path(command[4]) / "img_resized_1M" / "cities_instagram" / "london"
            city.mkdir(parents=True)
            for post_id in ("1", "2"):
                (city / f"{post_id}.jpg").write_bytes(b"x")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr("sys.argv", ["demo"])
    return commands


def test_it_types_the_whole_line_and_ends_by_naming_the_command_that_opens_the_board(
    typed: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = {"labeled-posts": labels("1"), "posts-dlt": [("2", b"{}")]}
    monkeypatch.setattr(demo, "_read", lambda settings, topic: out[topic])
    assert demo.main() == 0
    assert [command[:2] for command in typed] == [
        ["producer", "sample"],
        ["producer", "topics"],
        ["producer", "replay"],
        ["consumer", "label"],
        ["consumer", "count"],
        ["consumer", "verify"],
        ["consumer", "popularity"],
    ]
    said = capsys.readouterr().out
    assert "2 posts went in, each came out exactly once" in said
    assert said.splitlines()[-1].endswith(": make board")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert "\nboard: " in makefile
    assert "-m deploy.board show\n" in makefile


@pytest.mark.parametrize(
    ("out", "says"),
    [
        (labels("1"), "missing: ['2'], more than once: []"),
        (labels("1", "2", "2"), "missing: [], more than once: ['2']"),
        (labels("1", "2", "3"), "missing: [], more than once: []"),
    ],
    ids=["lost", "doubled", "never sent"],
)
def test_a_post_that_is_lost_doubled_or_never_sent_is_an_error(out: list[tuple[str, bytes]], says: str) -> None:
    with pytest.raises(CommandError, match="2 posts went in") as raised:
        demo._account_for(["1", "2"], out)
    assert says in str(raised.value)


def test_a_command_that_fails_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(subprocess, "run", lambda command, check: subprocess.CompletedProcess(command, 3))
    monkeypatch.setattr("sys.argv", ["demo"])
    assert demo.main() == 1
    error = capsys.readouterr().err
    assert error.startswith("demo: `python -m producer sample ")
    assert error.endswith("ended with exit code 3\n")


def test_the_table_shows_the_surest_first() -> None:
    posts = [*labels("unsure", confidence=0.1, place=None, sentiment=None), *labels("sure", confidence=0.9)]
    console = Console(width=120)
    with console.capture() as captured:
        console.print(demo._table(posts))
    lines = captured.get().splitlines()
    (sure,), (unsure,) = (
        [n for n, line in enumerate(lines) if line.split()[:1] == [name]] for name in ("sure", "unsure")
    )
    assert sure < unsure
    assert "not classified" in lines[unsure]
    assert "–" in lines[unsure]
