import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from deploy.local.command import _command, _run, run, up
from producer.base.errors import UsageError
from tests.conftest import ROOT, wait_until


def test_the_command_follows_the_dashes() -> None:
    assert _command(["--", "sh", "-c", "exit 7", "--", "x"]) == ["sh", "-c", "exit 7", "--", "x"]
    assert _command(["sh", "-c", "exit 7"]) == ["sh", "-c", "exit 7"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "no command to run"),
        (["--"], "no command to run"),
        (["--port", "1", "--", "sh"], "unknown option --port"),
        (["--", "no-such-program"], "there is no program 'no-such-program'"),
    ],
)
def test_wrong_usage_is_found_before_anything_starts(argv: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run(argv)


def test_up_takes_no_arguments() -> None:
    with pytest.raises(UsageError, match="unknown argument 'x'"):
        up(["x"])


def test_the_exit_code_is_the_commands_own() -> None:
    environment = os.environ | {"PLACESTREAM_REDIS_URL": "redis://x"}

    assert _run(["sh", "-c", 'test "$PLACESTREAM_REDIS_URL" = redis://x && exit 7'], environment) == 7
    assert _run(["sh", "-c", "kill -KILL $$"], environment) == 128 + signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_on_to_the_command(number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    command = ["sh", "-c", f"trap 'exit 5' {name}; echo up; while :; do sleep 0.05; done"]
    program = f"import os, sys; from deploy.local.command import _run; sys.exit(_run({command!r}, dict(os.environ)))"
    runner = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True
    )
    try:
        assert runner.stdout
        assert runner.stdout.readline() == "up\n"
        runner.send_signal(number)
        wait_until(lambda: runner.poll() is not None, what="the runner's end")
        assert runner.returncode == 5
    finally:
        with suppress(ProcessLookupError):
            os.killpg(runner.pid, signal.SIGKILL)  # the command as well: it must not outlive the test
        runner.communicate()
