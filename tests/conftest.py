"""What tests share: one broker and one Redis per session, fresh topics and keys per test, commands that always end."""

import itertools
import logging
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
import redis
from kafka import KafkaAdminClient

from deploy.local import kafka_jars
from deploy.local.stack import Stack
from producer.topics import CreateSettings, create_topics
from tests.forked import Forked
from tests.tools import pytest_terminal_summary  # noqa: F401 # a hook of pytest

ROOT = Path(__file__).parents[1]

kafka_jars.VERSION = os.environ.get("TESTS_KAFKA", kafka_jars.VERSION)  # see deploy/BROKERS.md
PATIENCE = float(os.environ.get("TESTS_PATIENCE", "300"))
"""Seconds for what must happen: so many that only what never happens takes longer, on whatever machine."""


@pytest.fixture(scope="session", autouse=True)
def rounding() -> Iterator[None]:
    """With ``TESTS_ROUNDING``: see `tests.rounding`."""
    with pytest.MonkeyPatch.context() as patch:
        if "TESTS_ROUNDING" in os.environ:
            from tests.rounding import round_otherwise  # not at the top: PyTorch takes seconds to import

            round_otherwise(patch)
        yield


@pytest.fixture
def as_before() -> Iterator[None]:
    """Put back the signal and log handlers that a command sets for its process."""
    signals = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    handlers, level = logging.root.handlers[:], logging.root.level
    levels = {log: log.level for log in logging.root.manager.loggerDict.values() if isinstance(log, logging.Logger)}
    yield
    for number, handler in signals.items():
        signal.signal(number, handler)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    for log in logging.root.manager.loggerDict.values():
        if isinstance(log, logging.Logger):
            log.setLevel(levels.get(log, logging.NOTSET))


@dataclass(frozen=True, slots=True)
class Topics:
    """Fresh topics, that of the vectors only where it is wanted, and a group of workers that has the input's name."""

    input: str
    output: str
    dead_letter: str
    partitions: int
    vectors: str | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables that name them."""
        vectors = {"PLACESTREAM_VECTORS_TOPIC": self.vectors} if self.vectors else {}
        return vectors | {
            "PLACESTREAM_INPUT_TOPIC": self.input,
            "PLACESTREAM_OUTPUT_TOPIC": self.output,
            "PLACESTREAM_DEAD_LETTER_TOPIC": self.dead_letter,
            "PLACESTREAM_GROUP_ID": self.input,
        }


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """One broker and one Redis, started by the first test that asks."""
    with Stack() as running:
        yield running


class MakeTopics(Protocol):
    """``make_topics(partitions=6)`` creates topics with new names."""

    def __call__(self, partitions: int = 2, copies: int = 1, vectors: bool = False) -> Topics: ...


@pytest.fixture
def make_topics(stack: Stack) -> MakeTopics:
    """Create as many sets of topics as a test needs, with the settings that `producer topics` gives them."""

    def create(partitions: int = 2, copies: int = 1, vectors: bool = False) -> Topics:
        name = f"posts-{uuid.uuid4().hex[:10]}"
        names = Topics(name, f"{name}-labeled", f"{name}-dlt", partitions, f"{name}-vectors" if vectors else None)
        settings = CreateSettings.model_validate(
            {
                "bootstrap_servers": stack.broker.address,
                "input_topic": names.input,
                "output_topic": names.output,
                "dead_letter_topic": names.dead_letter,
                "vectors_topic": names.vectors,
                "partitions": partitions,
                "replication_factor": copies,
            }
        )
        create_topics(settings)
        return names

    return create


@pytest.fixture
def topics(make_topics: MakeTopics) -> Topics:
    """Three fresh topics of two partitions."""
    return make_topics()


@pytest.fixture
def admin(stack: Stack) -> Iterator[KafkaAdminClient]:
    """To ask and to change the broker."""
    with closing(KafkaAdminClient(bootstrap_servers=stack.broker.address)) as client:
        yield client


@pytest.fixture
def redis_client(stack: Stack) -> Iterator[redis.Redis]:
    """A client that answers in str."""
    with redis.Redis.from_url(stack.redis.url, decode_responses=True) as client:
        yield client


@pytest.fixture
def counter_prefix() -> str:
    """For COUNTER_PREFIX: no other test has it."""
    return f"{{test-{uuid.uuid4().hex[:10]}}}"


class RunCli(Protocol):
    """Runs ``python -m MODULE ARGUMENTS…`` to its end; see `run_cli`."""

    def __call__(
        self, module: str, *arguments: str, env: dict[str, str] | None = None, timeout: float = PATIENCE
    ) -> subprocess.CompletedProcess[str]: ...


@dataclass(frozen=True, slots=True)
class Background:
    """A command that runs beside the test; both outputs go to one file, so it never blocks on a full pipe."""

    process: subprocess.Popen[bytes] | Forked
    log: Path

    @property
    def output(self) -> str:
        """What it has written so far, both outputs."""
        return self.log.read_text(errors="replace")

    def wait_for_output(self, text: str, timeout: float = PATIENCE) -> None:
        """Wait until it has written `text`; fails when it ends before or `timeout` seconds pass."""

        def written() -> bool:
            ended = self.process.poll() is not None
            if text in self.output:
                return True
            assert not ended, f"ended with {self.process.returncode}, never wrote {text!r}:\n{self.output}"
            return False

        wait_until(written, timeout, f"{text!r} in the output")

    def wait(self) -> int:
        """Wait for its end and return its exit code."""
        return self.process.wait(PATIENCE)

    def end(self, signal_number: int = signal.SIGTERM, timeout: float = PATIENCE) -> int:
        """Send it a signal and return its exit code."""
        self.process.send_signal(signal_number)
        return self.process.wait(timeout)


class StartCli(Protocol):
    """Starts ``python -m MODULE ARGUMENTS…``; see `start_cli`."""

    def __call__(self, module: str, *arguments: str, env: dict[str, str] | None = None) -> Background: ...


def clean_environment() -> dict[str, str]:
    """The caller's environment without PLACESTREAM_* variables."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PLACESTREAM_")}


def wait_until(condition: Callable[[], Any], timeout: float = PATIENCE, what: str = "the condition") -> None:
    """Wait until `condition()` is true; fail after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {timeout:g} s"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")  # in a container nobody may collect an orphan: a zombie has ended
    return not (stat.exists() and ") Z " in stat.read_text())


def begin(
    module: str, arguments: Sequence[str], environment: Mapping[str, str], output: Path, errors: Path
) -> subprocess.Popen[bytes] | Forked:
    """Start ``python -m MODULE ARGUMENTS…`` in a session of its own.

    A program of the tests by a fork (see `Forked`), unless it is told to come from elsewhere.
    """
    if module.startswith("tests.") and "PYTHONPATH" not in environment:
        return Forked(module, arguments, environment, ROOT, output, errors)
    with output.open("ab") as stdout, errors.open("ab") as stderr:
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )


def kill(process: subprocess.Popen[bytes] | Forked) -> None:
    """Kill it with its children, if it still runs."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.send_signal(signal.SIGKILL)  # a fork that has no session yet
    process.wait()


@contextmanager
def background(folder: Path, environment: dict[str, str]) -> Iterator[StartCli]:
    """Start commands that are killed, with their children, at the end of the block."""
    number = itertools.count()

    def start(module: str, *arguments: str, env: dict[str, str] | None = None) -> Background:
        log = folder / f"{module}-{next(number)}.log"
        log.touch()
        process = begin(module, arguments, environment | (env or {}), log, log)
        ends.callback(kill, process)
        return Background(process, log)

    with ExitStack() as ends:
        yield start


def run_to_end(
    folder: Path, environment: Mapping[str, str], module: str, *arguments: str, timeout: float = PATIENCE
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m MODULE ARGUMENTS…``; one that takes longer is killed. What it writes goes to this folder."""
    output, errors = (folder / f"{uuid.uuid4().hex}.{name}" for name in ("out", "err"))
    process = begin(module, arguments, environment, output, errors)
    try:
        code = process.wait(timeout)
    finally:
        kill(process)
    return subprocess.CompletedProcess([module, *arguments], code, output.read_text(), errors.read_text())


@pytest.fixture
def run_cli(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> RunCli:
    """``run_cli("producer", "topics", env=…)``: against the stack, without the caller's own PLACESTREAM_* variables."""
    folder = tmp_path_factory.mktemp("commands")

    def run(
        module: str, *arguments: str, env: dict[str, str] | None = None, timeout: float = PATIENCE
    ) -> subprocess.CompletedProcess[str]:
        environment = clean_environment() | stack.environment | (env or {})
        return run_to_end(folder, environment, module, *arguments, timeout=timeout)

    return run


@pytest.fixture
def start_cli(stack: Stack, tmp_path: Path) -> Iterator[StartCli]:
    """As `run_cli`, in the background: ``worker = start_cli("consumer", "label", env=…)``."""
    with background(tmp_path, clean_environment() | stack.environment) as start:
        yield start
