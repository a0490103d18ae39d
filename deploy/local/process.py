"""Child processes that cannot outlive this one, not even after `kill -9`, and free loopback ports."""

import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

HOST = "127.0.0.1"

WATCH = 'read -r pid && { read -r end; kill -"$0" "$pid"; }'
"""Waits for a pid, then for the end of its input, which comes when we are gone, however we went."""

LAUNCH = 'echo $$ >&0; exec "$@" </dev/null'
"""Tells the watcher its own pid before it becomes the command: no moment in which nobody watches."""


class Watcher:
    """A tiny shell that ends one process when this process ends.

    Linux's PR_SET_PDEATHSIG would be shorter, but it fires as soon as the *thread* that started the child ends,
    and no other system has it.
    """

    def __init__(self, signal_number: int = signal.SIGKILL) -> None:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", WATCH, str(int(signal_number))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a signal to our process group must not end it before us
        )
        assert self._shell.stdin is not None
        self.line = self._shell.stdin

    def watch(self, pid: int) -> None:
        """Watch a process that is running already."""
        self.line.write(f"{pid}\n".encode())
        self.line.flush()

    def close(self) -> None:
        """Stop watching; the process lives on. Harmless when closed already."""
        self._shell.kill()
        self._shell.wait()
        self.line.close()


class Process:
    """A running server, its output appended to `log`."""

    def __init__(self, command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None) -> None:
        self._watcher = Watcher()
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                ["/bin/sh", "-c", LAUNCH, "sh", *map(str, command)],
                stdin=self._watcher.line,
                stdout=output,
                stderr=output,
                env=env,
                start_new_session=True,  # Ctrl-C is for us; we end it in our own time
            )

    @property
    def pid(self) -> int:
        """The server's own process id."""
        return self._child.pid

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        code = self._child.poll()
        if code is not None:
            self._watcher.close()  # its pid may soon be another's
        return code

    def wait(self, timeout: float) -> int | None:
        """Its exit code once it has ended; None when it still runs after `timeout` seconds."""
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout)
        return self.poll()

    def stop(self, timeout: float) -> None:
        """Ask it to end (SIGTERM), and kill it after `timeout` seconds. Harmless when it has ended."""
        if self.poll() is None:
            self._child.terminate()
            self.wait(timeout)
            self.kill()

    def kill(self) -> None:
        """End it at once (SIGKILL) and wait until it is gone. Harmless when it has ended."""
        if self.poll() is None:
            self._child.kill()
            self._child.wait()
            self.poll()


def free_ports(count: int) -> list[int]:
    """Loopback ports that are free now. Another program may take one before it is used: be ready to ask again."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log; empty when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 64 * 1024))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
