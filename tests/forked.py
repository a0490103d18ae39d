"""Programs of the tests, forked from one process that has imported PyTorch: to import it takes a start 3 to 9 seconds.

A program of the tests (`tests.light` and its like) is killed and started again a hundred times. Commands of Placestream
start as a user starts them.
"""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # is read when PyTorch is imported: by the process that forks
FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(["tests.preloaded"])
WRITE = os.O_WRONLY | os.O_APPEND | os.O_CREAT


class Forked:
    """``python -m MODULE ARGUMENTS…`` with the methods of a `subprocess.Popen`, in a session of its own.

    Args:
        module: of the program.
        arguments: its own.
        environment: all of it.
        folder: that it runs in.
        output: file that gets what it prints.
        errors: file that gets what it prints as errors.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        output: Path,
        errors: Path,
    ) -> None:
        what = (module, list(arguments), dict(environment), folder, output, errors)
        self._process = FORKING.Process(target=_run, args=what, name=module, daemon=True)
        self._process.start()
        assert self._process.pid
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self._process.exitcode is None:
            with suppress(ProcessLookupError):  # the server has collected it, and says so in a moment
                os.kill(self.pid, number)


def _run(
    module: str, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, output: Path, errors: Path
) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for path, flags, number in ((Path(os.devnull), os.O_RDONLY, 0), (output, WRITE, 1), (errors, WRITE, 2)):
        opened = os.open(path, flags)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv[1:] = arguments
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()  # a fork leaves them out


def _end_with_parent() -> None:
    """A test run that is killed leaves no worker behind."""
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os._exit(1)
