"""The process that decides: values of records in, outcomes out, through two pipes.

Python computes on one core at a time. In a process of its own deciding costs Kafka's none of it: a worker is twice as
fast. It ends when its pipes do, holds no secret and no connection.
"""

import gc
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress

import torch

from consumer.classify.factory import HeadOf
from consumer.dead_letter import DeadLetter
from consumer.relabel.decide import Decided, decide
from producer.base.errors import CommandError

ENVIRONMENT = ("PATH", "LANG", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""What it is given of the environment: no secrets."""


class Process:
    """`decide` in another process. One thread at a time; a context manager."""

    def __init__(self, head: HeadOf) -> None:
        """Start it.

        Args:
            head: decides there.
        """
        kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "consumer.relabel.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=kept | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            process_group=0,  # Ctrl-C is its parent's
        )
        assert self._process.stdin
        assert self._process.stdout
        self._values, self._outcomes = self._process.stdin, self._process.stdout
        self._one = threading.Lock()
        self._send(head)

    def decide(self, values: Sequence[bytes | None]) -> list[Decided | DeadLetter]:
        """As `decide.decide`.

        Raises:
            CommandError: the process has ended.
        """
        with self._one:
            self._send(values)
            try:
                outcomes: list[Decided | DeadLetter] = pickle.load(self._outcomes)
            except (EOFError, pickle.UnpicklingError):  # it ended, be it within an answer
                raise self._ended() from None
        return outcomes

    def close(self) -> None:
        """End it."""
        with suppress(BrokenPipeError):
            self._values.close()
        self._process.kill()
        self._process.wait()
        self._outcomes.close()

    def _send(self, what: object) -> None:
        try:
            pickle.dump(what, self._values, pickle.HIGHEST_PROTOCOL)
            self._values.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def _ended(self) -> CommandError:
        code = self._process.wait()
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return CommandError(f"the process that decides ended {how}; nothing of this batch was published")


def main() -> None:
    """Answer until a pipe ends, be it within a message: then its parent was killed."""
    torch.set_num_threads(1)
    values = sys.stdin.buffer
    with suppress(EOFError, BrokenPipeError, pickle.UnpicklingError), os.fdopen(os.dup(1), "wb") as outcomes:
        os.dup2(2, 1)  # whatever prints
        head = pickle.load(values)
        gc.freeze()
        while True:
            pickle.dump(decide(head, pickle.load(values)), outcomes, pickle.HIGHEST_PROTOCOL)
            outcomes.flush()


if __name__ == "__main__":
    main()
