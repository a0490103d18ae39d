"""Three workers of one group, and what one does to them."""

import math
import re
import signal
import time
from dataclasses import dataclass, field

from deploy.local.stack import Stack
from tests.conftest import PATIENCE, Background, StartCli, Topics, wait_until
from tests.faults.feed import Feed
from tests.faults.invariants import (
    assert_counters_equal_a_recount,
    assert_exactly_once,
    behind,
    is_settled,
)

NAMES = ("a", "b", "c")
FLAGS = (
    *("--metrics-port", "0", "--session-timeout", "6", "--batch-size", "8", "--batch-deadline", "0.05"),
    *("--startup-timeout", "90"),  # longer than any session: a member that never came waits for its end, others for it
    # The group may wait that long for a dead member after the broker's restart (consumer/kafka/README.md, fact 20).
    *("--max-poll-interval", "60"),
)
MAY_END = (
    "fenced: another worker uses replica",  # or its transaction outlived its timeout
    "a living worker of group",  # a dead one of its name is still listed
    "could not join group",  # within STARTUP_TIMEOUT
)
"""Last words of a worker that is right to end: whoever supervises it starts it again."""


@dataclass(slots=True)
class Pool:
    """Workers by name. Each is started again under its name; its transactional id stays."""

    stack: Stack
    topics: Topics
    start_cli: StartCli
    module: str = "tests.light"
    arguments: tuple[str, ...] = ()  # the module's first
    workers: dict[str, Background] = field(default_factory=dict)
    started: dict[str, tuple[tuple[str, ...], dict[str, str]]] = field(default_factory=dict)  # how each was, last
    may_end: tuple[str, ...] = MAY_END
    may_die: bool = False  # of a record
    killed: int = 0
    mended: list[str] = field(default_factory=list)
    redis_url: str | None = None  # where the labels are counted at the end; None: in the stack's Redis

    @property
    def group(self) -> str:
        return self.topics.input

    def restart(self, name: str) -> None:
        """Start a worker again as it was started first."""
        flags, environment = self.started[name]
        self.start(name, flags=flags, **environment)

    def start(self, *names: str, flags: tuple[str, ...] = (), **environment: str) -> None:
        """Start these workers; wait for nothing."""
        self.started |= dict.fromkeys(names, (flags, environment))
        env = self.topics.environment | {"OMP_NUM_THREADS": "1"} | environment
        for name in names:
            self.workers[name] = self.start_cli(
                self.module, *self.arguments, *FLAGS, *flags, "--replica", name, env=env
            )

    def published(self, name: str) -> int:
        """Batches that a worker has published since its start."""
        return self.workers[name].output.count(" published ")

    def wait_published(self, *names: str) -> None:
        """Wait until each of these has published something more."""
        before = {name: (self.workers[name], self.published(name)) for name in names}

        def all_did() -> bool:
            self.mend()
            return all(
                self.published(name) > (published if self.workers[name] is worker else 0)
                for name, (worker, published) in before.items()
            )

        wait_until(all_did, what=f"{names} publish")

    def kill(self, *names: str) -> None:
        """`kill -9` these; `start` brings them back."""
        self.mend()
        for name in names:
            assert self.workers.pop(name).end(signal.SIGKILL) == -signal.SIGKILL
            self.killed += 1

    def mend(self) -> None:
        """Start again whichever has ended, as a supervisor does; fails when it had no good reason to end."""
        for name, worker in list(self.workers.items()):
            code = worker.process.poll()
            if code is not None:
                last = worker.output.strip().splitlines()[-1]
                is_dead = self.may_die and code == -signal.SIGKILL
                assert is_dead or code == 1, f"{name} ended with {code}: {worker.output[-3000:]}"
                assert is_dead or any(words in last for words in self.may_end), f"{name}: {worker.output[-3000:]}"
                self.mended.append("killed" if is_dead else last)
                self.restart(name) if self.may_die else self.start(name)

    def finish(self, feed: Feed) -> None:
        """The end of every scenario: all that was written comes out, then one more good post; the invariants hold."""
        self.catch_up(feed)
        out = assert_exactly_once(self.stack, self.topics, feed)
        assert_counters_equal_a_recount(self.stack, self.topics, self.redis_url or self.stack.redis.url, out.labels)
        self.end()

    def catch_up(self, feed: Feed) -> None:
        """Wait until all that was written is committed and seen, and then one more good post."""
        feed.finish()
        self.wait_committed()
        feed.last()
        self.settle()

    def settle(self) -> None:
        """Wait until the group has committed all that the input holds, and no transaction is open on the outputs."""
        self.wait_committed()
        wait_until(lambda: is_settled(self.stack, self.topics), what="every transaction ended")

    def end(self) -> None:
        """End all workers in good order."""
        for worker in self.workers.values():
            worker.process.send_signal(signal.SIGTERM)
        for name, worker in self.workers.items():
            assert worker.wait() == 0, f"{name}: {worker.output[-3000:]}"
            assert "Traceback" not in worker.output, worker.log
        print(f"killed {self.killed}, ended by themselves and started again {len(self.mended)}: {self.mended}")

    def wait_committed(self) -> None:
        """Wait until the group has committed all that the input holds, and lose patience only where it stands still."""
        left, since = math.inf, time.monotonic()
        while (found := behind(self.stack, self.topics, self.group)) != 0:
            self.mend()
            if found is not None and found < left:
                left, since = found, time.monotonic()
            assert time.monotonic() < since + PATIENCE, f"{left} posts not committed, no fewer since {PATIENCE:g} s"
            time.sleep(0.2)


def resyncs(worker: Background, cause: str) -> int:
    """How often a worker went back to the committed offsets for this cause."""
    return len(re.findall(rf" resync cause={cause} ", worker.output))
