"""The two commands, `run` and `up`, and what signals mean to them."""

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from deploy.local.process import Watcher
from deploy.local.server import to_stderr
from deploy.local.stack import Stack
from producer.base.errors import CommandError, UsageError

RUN_USAGE = "usage: python -m deploy.local run -- COMMAND [ARGUMENT…]"
UP_USAGE = "usage: python -m deploy.local up"

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(argv: Sequence[str]) -> int:
    """``run -- COMMAND…``: the command's exit code; 128 + n if signal n ended it, as shells have it.

    Raises:
        UsageError: no command, or one that does not exist.
        CommandError: the servers do not start.
    """
    if list(argv[:1]) in (["-h"], ["--help"]):
        print(RUN_USAGE)
        return 0
    command = _command(argv)
    with _on_signal(_interrupt), Stack() as stack:
        try:
            return _run(command, os.environ | stack.environment)
        finally:
            _ignore_signals()  # the end takes less than a second


def up(argv: Sequence[str]) -> int:
    """``up``: print the variables and keep both servers until SIGINT or SIGTERM. One that is killed is started again.

    Raises:
        UsageError: it takes no arguments.
        CommandError: a server does not start.
    """
    if list(argv[:1]) in (["-h"], ["--help"]):
        print(UP_USAGE)
        return 0
    if argv:
        raise UsageError(f"unknown argument {argv[0]!r}; {UP_USAGE}")
    stop = threading.Event()
    with _on_signal(_interrupt), Stack() as stack:
        try:
            with _on_signal(lambda *_: stop.set()):
                for name, value in stack.environment.items():
                    print(f"export {name}={value}", flush=True)
                while not stop.wait(0.5):
                    for server in (stack.broker, stack.redis):
                        if not server.running:
                            to_stderr(server.explain("has ended and is started again"))
                            server.start()
                            to_stderr(f"{server.name}: runs again (pid {server.pid})")
        finally:
            _ignore_signals()
    return 0


def _command(argv: Sequence[str]) -> list[str]:
    """The command to run, with its program found.

    Raises:
        UsageError: there is none.
    """
    command = list(argv[1:] if argv[:1] == ["--"] else argv)
    if not command:
        raise UsageError(f"no command to run; {RUN_USAGE}")
    if command[0].startswith("-"):
        raise UsageError(f"unknown option {command[0]}; {RUN_USAGE}")
    if shutil.which(command[0]) is None:
        raise UsageError(f"there is no program {command[0]!r} to run")
    return command


def _run(command: Sequence[str], environment: dict[str, str]) -> int:
    child: subprocess.Popen[bytes] | None = None
    early: list[int] = []  # signals between its start and our knowing it

    def forward(number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and _in_foreground():
            return
        if child:
            child.send_signal(number)
        else:
            early.append(number)

    watcher = Watcher(signal.SIGTERM)  # after kill -9 nobody else would end the command
    try:
        with _on_signal(forward):
            child = subprocess.Popen(command, env=environment)
            watcher.watch(child.pid)
            for number in early:
                child.send_signal(number)
            code = child.wait()
    except OSError as error:
        raise CommandError(f"{command[0]} does not run: {error.strerror}") from None
    finally:
        watcher.close()
    return code if code >= 0 else 128 - code


def _in_foreground() -> bool:
    """Whether a terminal's Ctrl-C goes to our whole process group: then the command has had it already."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _interrupt(number: int, _: FrameType | None) -> None:
    """While the servers start: take everything back. Later signals must not disturb that."""
    _ignore_signals()
    raise KeyboardInterrupt


def _ignore_signals() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def _on_signal(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    """Handle SIGINT, SIGTERM and SIGHUP so inside the block."""
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
