import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from producer.__main__ import COMMANDS
from producer.base import command
from producer.base.errors import CommandError, UsageError

ROOT = Path(__file__).parents[4]
TABLE = {
    "good": ("tests.unit.producer.base.test_command:good", "does well"),
    "three": ("tests.unit.producer.base.test_command:three", "has its own exit code"),
    "stopped": ("tests.unit.producer.base.test_command:stopped", "gets a signal before it has a handler"),
    "bad": ("tests.unit.producer.base.test_command:bad", "raises what its argument says"),
}


def good(argv: list[str]) -> None:
    print(argv)


def three(argv: list[str]) -> int:
    return 3


def stopped(argv: list[str]) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()


def bad(argv: list[str]) -> None:
    raise {"usage": UsageError("setting X: no"), "command": CommandError("no broker"), "stop": KeyboardInterrupt()}[
        argv[0]
    ]


def test_a_command_gets_its_arguments_and_gives_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run("python -m x", TABLE, ["good", "a", "--b"]) == 0
    assert capsys.readouterr().out == "['a', '--b']\n"
    assert command.run("python -m x", TABLE, ["three"]) == 3


@pytest.mark.parametrize(
    ("argument", "exit_code", "said"),
    [("usage", 2, "setting X: no"), ("command", 1, "no broker"), ("stop", 1, "interrupted")],
)
def test_an_error_is_one_line_and_an_exit_code(
    argument: str, exit_code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.run("python -m x", TABLE, ["bad", argument]) == exit_code
    assert capsys.readouterr().err == f"python -m x bad: {said}\n"


def test_a_stop_before_the_command_has_a_handler_is_heard_by_one_of_our_own() -> None:
    """The kernel's own would be none for process 1 of a container, which would live on until SIGKILL."""
    code = "from tests.unit.producer.base.test_command import *; command.run('python -m x', TABLE, ['stopped'])"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 128 + signal.SIGTERM


def test_what_a_terminal_cannot_show_is_escaped() -> None:
    code = "from tests.unit.producer.base.test_command import *; command.run('x', TABLE, ['good', 's\\xe3o'])"
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={"PYTHONIOENCODING": "ascii"}, capture_output=True, text=True
    )
    assert (shown.returncode, shown.stdout) == (0, "['s\\xe3o']\n"), shown.stderr


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run("python -m x", TABLE, ["--help"]) == 0
    out = capsys.readouterr().out
    assert all(name in out and summary in out for name, (_, summary) in TABLE.items())


@pytest.mark.parametrize("argv", [[], ["unknown"], ["--version"]])
def test_no_such_command_is_wrong_usage(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run("python -m x", TABLE, argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "usage: python -m x COMMAND" in err


def python_m_producer(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "producer", *argv], capture_output=True, text=True, cwd=ROOT)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_producer_shows_its_options(name: str) -> None:
    shown = python_m_producer(name, "--help")
    assert shown.returncode == 0, shown.stderr
    assert f"usage: python -m producer {name}" in shown.stdout


@pytest.mark.parametrize(
    ("argv", "exit_code", "said"),
    [
        (["replay"], 2, "the following arguments are required: DATASET"),
        (["replay", "x", "--rate", "0"], 2, "python -m producer replay: setting RATE: Input should be greater than 0"),
        (["replay", "/nowhere"], 1, "python -m producer replay: /nowhere: no such file or folder"),
        (["topics", "--security-protocol", "SASL_SSL"], 2, "needs SASL_MECHANISM, SASL_USERNAME and SASL_PASSWORD"),
        (["sample", "/proc/nowhere"], 1, "python -m producer sample: /proc/nowhere: cannot be written: "),
    ],
)
def test_what_a_person_does_wrong_is_said_without_a_traceback(argv: list[str], exit_code: int, said: str) -> None:
    ended = python_m_producer(*argv)
    assert ended.returncode == exit_code
    assert said in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
