"""Pictures are decoded in processes of their own: what a stranger sends may crash, stall or fill one, and no more.

A process is started by hand rather than forked, beside threads of Kafka and OpenMP, and knows neither (`process.py`).
"""

import atexit
import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import cache

import numpy as np
from numpy.typing import NDArray

from consumer.classify.pictures.decode import (
    DecodeFailed,
    ImageTooLarge,
    NotAnImage,
    PictureError,
    PictureLimits,
    TruncatedImage,
)
from consumer.classify.pictures.process import ANSWER, CHUNK, LONGEST_MESSAGE, OUT_OF_MEMORY, PICTURE, READY, memory
from producer.base.errors import CommandError

AT_ONCE = 4
"""Pictures that are handed over together: handing over takes as long as decoding a small one."""
TRIES = 3
"""How often a picture may end its process: the first time among others, then alone in a fresh one."""
WAIT = 60.0
"""Seconds without an answer after which a process is replaced. It may stand still for no fault of the picture."""
STARTS = 5
"""Processes in a row that end before they are ready, after which something else is wrong than a picture."""

Levels = NDArray[np.uint8]
"""Of a picture, ``[h, w, 3]``."""

MOST_SAID = 2**16
"""Bytes that are read of what a process that does not start says: as many as its pipe holds."""

PIPE = 2**20
"""Bytes that wait in a pipe: some small pictures, so that neither side waits for the other after each."""

_ERRORS = {error.__name__.encode(): error for error in (NotAnImage, TruncatedImage, ImageTooLarge)}
_ENVIRONMENT = ("PATH", "LANG", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""What a decoder process is given of the environment: no secrets."""


class Ended(Exception):
    """A decoder process has ended, or was ended, before it answered; the message says why."""


class NotReady(Ended):
    """It ended before it was given anything."""


class DecoderProcess:
    """One decoder process, and the pipes to it. One thread at a time."""

    def __init__(self, limits: PictureLimits, on_cut: Callable[[], object] = lambda: None) -> None:
        """Start it; the first `decode` waits until it is ready."""
        self._limits = limits
        self._on_cut = on_cut
        self._ready = False
        kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "consumer.classify.pictures.process", json.dumps(asdict(limits))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,  # until it is ready; then it has none
            bufsize=0,
            # OpenBLAS and malloc would map memory for every core.
            env=kept | {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"},
            process_group=0,  # Ctrl-C is its parent's. A session of its own would be given as much CPU as the model
        )
        assert self._process.stdin
        assert self._process.stdout
        assert self._process.stderr
        self._pictures, self._answers = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._said = self._process.stderr
        for pipe in (self._pictures, self._answers):
            os.set_blocking(pipe, False)
            if sys.platform == "linux":
                with contextlib.suppress(PermissionError):  # this user's pipes hold too much already
                    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE)

    def decode(self, pictures: Sequence[bytes]) -> Iterator[Levels | PictureError]:
        """Hand the pictures over; then one outcome after the other, as they are decoded.

        Raises:
            Ended: before all are answered.
        """
        try:
            if not self._ready:
                self._receive(len(READY))
                self._ready = True
            self._send(CHUNK.pack(len(pictures)))
            for picture in pictures:
                self._send(PICTURE.pack(len(picture)))
                self._send(picture)
            for _ in pictures:
                yield self._outcome()
        except TimeoutError:
            raise Ended(f"no answer within {WAIT:g} s") from None
        except (BrokenPipeError, EOFError):
            raise self._ended() from None

    def end(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        with self._process:  # closes the pipes and waits
            pass

    def _outcome(self) -> Levels | PictureError:
        name, height, width, size = ANSWER.unpack(self._receive(ANSWER.size).data)
        if max(height * width - self._limits.max_pixels, size - LONGEST_MESSAGE) > 0:  # that process is not trusted
            raise Ended(f"its answer is of {width} x {height} pixels, or has a message of {size} bytes")
        if error := _ERRORS.get(name.rstrip(b"\0")):
            return error(self._receive(size).tobytes().decode(errors="replace"))
        levels = self._receive(height * width * 3).reshape(height, width, 3)
        if size:
            self._on_cut()
        return levels

    def _send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            _wait(self._pictures, select.POLLOUT)
            rest = rest[os.write(self._pictures, rest) :]

    def _receive(self, size: int) -> Levels:
        received = np.empty(size, np.uint8)
        rest = received.data
        while rest:
            _wait(self._answers, select.POLLIN)
            if not (got := os.readv(self._answers, [rest])):
                raise EOFError
            rest = rest[got:]
        return received

    def _ended(self) -> Ended:
        """Why it has ended: its ends of the pipes are gone."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(WAIT)
        code = self._process.returncode
        if code == -signal.SIGPROF:
            return Ended(f"it took more than {self._limits.timeout:g} s of CPU time (DECODE_TIMEOUT)")
        if code == OUT_OF_MEMORY:
            return Ended(f"it took more than {memory(self._limits) / 2**20:.0f} MiB")
        why = f"exit code {code}" if code is None or code >= 0 else signal.Signals(-code).name
        if self._ready:
            return Ended(f"its process ended with {why}")
        said = self._said.read(MOST_SAID).decode(errors="replace").split("\n") if code is not None else []
        return NotReady(": ".join([f"its process ended with {why}", *[line for line in said if line.strip()][-1:]]))


def _wait(pipe: int, event: int) -> None:
    """Wait until a pipe can be written to or read from.

    Raises:
        TimeoutError: it cannot for too long.
    """
    poll = select.poll()
    poll.register(pipe, event)
    if not poll.poll(WAIT * 1000):
        raise TimeoutError


class Decoders:
    """Decoder processes, as many as there are threads that ask at once. Thread-safe.

    Attributes:
        on_cut: called for each picture that ended early and was cut to the rows that are there.
    """

    def __init__(self, limits: PictureLimits) -> None:
        """Start none yet.

        Args:
            limits: what is refused, and what decoding may cost.
        """
        self.on_cut: Callable[[], object] = lambda: None
        self._limits = limits
        self._idle: deque[DecoderProcess] = deque()
        self._owner = os.getpid()

    def start(self, processes: int) -> None:
        """Start some ahead; their imports then go on beside what the caller does."""
        self._idle.extend(self._started() for _ in range(processes))

    def each(self, pictures: Sequence[bytes]) -> Iterator[Levels | PictureError]:
        """Decode pictures, one outcome after the other, in their order.

        A process that ends takes one picture with it, which is tried again alone.

        Raises:
            CommandError: decoder processes do not start.
        """
        rest = list(pictures)
        while rest:
            try:
                with self._borrowed() as process:
                    for outcome in process.decode(list(rest)):
                        del rest[0]
                        if rest:
                            yield outcome
            except Ended:
                outcome = self._alone(rest.pop(0))
                if rest:
                    yield outcome
        if pictures:
            yield outcome  # the last: who takes no more than there are has given the process back

    def one(self, picture: bytes) -> Levels:
        """Decode a picture.

        Raises:
            PictureError: it cannot be used.
            CommandError: decoder processes do not start.
        """
        (outcome,) = self.each([picture])
        if isinstance(outcome, PictureError):
            raise outcome
        return outcome

    def close(self) -> None:
        """End those that nobody uses."""
        while self._idle:
            self._idle.pop().end()

    def _started(self) -> DecoderProcess:
        return DecoderProcess(self._limits, lambda: self.on_cut())

    def _alone(self, picture: bytes) -> Levels | PictureError:
        """Try a picture that has ended its process again."""
        tries, starts = 1, 0
        while True:
            try:
                with self._borrowed(fresh=True) as process:
                    (outcome,) = process.decode([picture])
                    return outcome
            except NotReady as error:
                starts += 1
                if starts == STARTS:
                    raise CommandError(f"decoder processes do not start: {error}") from None
            except Ended as error:
                tries += 1
                if tries == TRIES:
                    return DecodeFailed(f"tried {TRIES} times, the last time alone: {error}")

    @contextlib.contextmanager
    def _borrowed(self, fresh: bool = False) -> Iterator[DecoderProcess]:
        if self._owner != os.getpid():  # after a fork: these are the parent's
            self._idle, self._owner = deque(), os.getpid()
        try:
            process = self._started() if fresh else self._idle.pop()
        except IndexError:
            process = self._started()
        try:
            yield process
        except BaseException:  # also of who uses the outcomes: answers may be on their way
            process.end()
            raise
        self._idle.append(process)


@cache
def decoders(limits: PictureLimits) -> Decoders:
    """The decoder processes of this program for these limits; they end with it."""
    shared = Decoders(limits)
    atexit.register(shared.close)
    return shared
