"""What broker and Redis have in common: start, wait until it answers, stop, kill, restart."""

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

from deploy.local.process import HOST, Process, free_ports, tail
from producer.base.errors import CommandError

Say = Callable[[str], None]
"""Takes one line of progress."""

PORT_TAKEN = "Address already in use"
"""What Java, Redis and Valkey write when a port is in use."""

ATTEMPTS = 3
"""How often a server is tried on other ports, when a port was taken between choosing and using it."""

START_TIMEOUT = 60.0
"""Seconds for a server to answer: a loaded machine is slow."""

STOP_TIMEOUT = 10.0
"""Seconds for a server to end by itself, before it is killed."""


def to_stderr(line: str) -> None:
    """Progress for people: standard output belongs to the command that is run."""
    print(line, file=sys.stderr, flush=True)


class StartError(CommandError):
    """A server ended at once or did not answer in time; the message ends with the tail of its log."""


class Server(ABC):
    """A server on fixed loopback ports with its data in `folder`: both outlive kill and restart.

    Args:
        folder: where data, configuration and log go; created when missing.
        ports: the ports to listen on, clients' port first; empty = free ones, chosen at the first start.
    """

    name: str
    """What progress and errors call it."""
    ports_needed = 1

    def __init__(self, folder: Path, ports: Sequence[int] = ()) -> None:
        self.folder = folder
        self.ports = list(ports)
        self.log = folder / "log"
        self.start_timeout = START_TIMEOUT
        self._process: Process | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """The command line, after preparing whatever it needs in `folder`.

        Raises:
            CommandError: it cannot be prepared.
        """

    @abstractmethod
    def answers(self) -> bool:
        """Whether it does what clients need."""

    @property
    def port(self) -> int:
        """The port for clients."""
        return self.ports[0]

    @property
    def address(self) -> str:
        """host:port for clients."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Its process id, e.g. for SIGSTOP; None when it does not run."""
        return self._process.pid if self.running and self._process else None

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it answers. Harmless when it runs.

        Raises:
            StartError: it ended, or did not answer within START_TIMEOUT; nothing is left running.
        """
        if self.running:
            return
        attempts = 1 if self.ports else ATTEMPTS
        for attempt in range(1, attempts + 1):
            self.ports = self.ports or free_ports(self.ports_needed)
            try:
                self._start()
                return
            except StartError as error:
                if attempt == attempts or PORT_TAKEN not in str(error):
                    raise
                self.ports = []
                self.log.unlink(missing_ok=True)

    def _start(self) -> None:
        self._process = Process(self.command(), self.log)
        deadline = time.monotonic() + self.start_timeout
        try:
            while True:
                answers = self.answers()
                code = self._process.poll()  # asked last: where it failed to listen, another program may answer
                if code is not None:
                    raise StartError(self.explain(f"ended at once (exit code {code})"))
                if answers:
                    return
                if time.monotonic() > deadline:
                    raise StartError(self.explain(f"does not answer after {self.start_timeout:g} s"))
                time.sleep(0.05)
        except BaseException:
            self._process.kill()
            raise

    def stop(self) -> None:
        """End it cleanly, by force after STOP_TIMEOUT. Harmless when it does not run."""
        if self._process:
            self._process.stop(STOP_TIMEOUT)

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would."""
        if self._process:
            self._process.kill()

    def restart(self) -> None:
        """Start it again on the same ports and the same data; stop it first if it runs.

        Raises:
            StartError: as `start`.
        """
        self.stop()
        self.start()

    def explain(self, what: str) -> str:
        """One line that says what happened, and the end of its log."""
        log = tail(self.log)
        return f"{self.name} {what}" + (f"; the end of its log:\n{log}" if log else "; its log is empty")
