"""Faults at random moments for as long as one likes: nothing is lost, doubled or miscounted, and no memory leaks.

`make soak MINUTES=20`, or `python -m tests.faults.soak --minutes N`. A broker, a Redis, three workers and a `count` of
its own; exit code 1 when a promise is broken, and the logs are kept then. Memory is read from /proc: Linux only. It is
judged in a soak of ten minutes or more; before, it only is shown.
"""

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import redis
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from scipy.stats import linregress

from deploy.local.stack import Stack
from producer.topics import CreateSettings, create_topics
from tests.conftest import PATIENCE, Background, Topics, background, clean_environment
from tests.faults.feed import Feed, feeding
from tests.faults.invariants import Outcome, assert_each_once, behind, came_out, is_settled
from tests.faults.pool import NAMES, Pool
from tests.integration.consumer.count.conftest import counted

FAULTS = ("kill", "freeze", "visit", "count", "redis", "broker")
STEADY, *OTHERS = NAMES
"""The steady one is frozen and rebalanced, but never killed: its memory is watched for the whole time."""
CAUGHT_UP = 1.0
"""Seconds of load that the group may be behind to count as recovered."""
SAMPLE_EVERY = 2.0
"""Seconds between two looks at the memory."""
WARM_UP = 1 / 3
"""Share of the soak for which a process's life says nothing of its memory.

It imports, joins, fills its pools, and its garbage in cycles has yet to reach the 3 MiB or so at which Python collects
its oldest generation: that takes 3 to 6 minutes.
"""
JUDGED_FROM = 360.0
"""Seconds without its warm-up from which a process's memory is judged: of a soak of ten minutes 400 are left."""
MOST_PER_HOUR = 60.0
"""MiB by which the memory of a worker may grow.

An honest one grows by 25 to 45 MiB/h until its oldest generation is collected (seen in soaks). One that kept every
picture would by 110: it labels 40 a second, of 800 bytes each.
"""


@dataclass(slots=True)
class Memory:
    """What one process held over time: hours since the soak began, and resident MiB."""

    name: str
    hours: list[float] = field(default_factory=list)
    mib: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """From the first look to the last."""
        return (self.hours[-1] - self.hours[0]) * 3600 if self.hours else 0.0

    def warm(self, warm_up: float) -> "Memory":
        """Without the first seconds of its life."""
        first = next((n for n, hour in enumerate(self.hours) if (hour - self.hours[0]) * 3600 >= warm_up), None)
        return Memory(self.name, *(([], []) if first is None else (self.hours[first:], self.mib[first:])))


@dataclass(slots=True)
class Soak:
    """Load, faults and supervision; everything but the load happens on the main thread."""

    stack: Stack
    pool: Pool
    console: Console
    chance: random.Random
    per_second: int
    faults: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, str] = (0.0, "none")  # seconds to recover, from which fault
    memory: dict[int, Memory] = field(default_factory=dict)  # pid -> what it held
    counter: Background | None = None
    began: float = field(default_factory=time.monotonic)
    looked_at: float = 0.0
    tick: Callable[[], None] = lambda: None

    def run(self, feed: Feed, seconds: float, kinds: Sequence[str]) -> None:
        """Faults of these kinds until the time is over; then whatever is left is caught up."""
        self._start_count()
        self.pool.start(*NAMES)
        self.wait(lambda: all(self.pool.published(name) for name in NAMES), "the first labels")
        while (now := time.monotonic() - self.began) < seconds:
            kind = self.chance.choice(kinds)
            at = time.monotonic()
            what = getattr(self, f"_{kind}")()
            self.faults[kind] += 1
            back = ""
            if self.chance.random() < 0.7:  # else the next fault comes on top of this one
                self.wait(lambda: self._lag() < CAUGHT_UP * self.per_second, "the group catches up")
                took = time.monotonic() - at
                back = f"caught up after {took:.1f} s"
                self.slowest = max(self.slowest, (took, what))
            self.console.print(f"{now:6.0f} s  {what:<44} {back}", highlight=False)
            self.spend(self.chance.uniform(0, 5))
        feed.finish()
        self.wait(lambda: self._lag() == 0, "everything committed")
        feed.last()
        self.wait(lambda: self._lag() == 0, "the last post committed")

    def spend(self, seconds: float) -> None:
        """Let time pass, but supervise: start again whoever was right to end, look at the memory."""
        until = time.monotonic() + seconds
        while True:
            self.pool.mend()
            assert self.counter is None or self.counter.process.poll() is None, self.counter.output[-3000:]
            if time.monotonic() - self.looked_at > SAMPLE_EVERY:
                self._look_at_memory()
            self.tick()
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.5))

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Supervise until it holds; twice the usual patience, for the faults overlap."""
        deadline = time.monotonic() + 2 * PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"{what}: not within {2 * PATIENCE:g} s"
            self.spend(0.5)

    def counted(self) -> int:
        """Posts in the counters."""
        with redis.Redis.from_url(self.stack.redis.url, decode_responses=True) as client:
            return counted(client, "{placestream}")

    def warm(self, warm_up: float) -> list[Memory]:
        """What the workers that live held after the first seconds of their lives, where that is more than a moment."""
        alive = {worker.process.pid for worker in self.pool.workers.values()}
        warm = (held.warm(warm_up) for pid, held in self.memory.items() if pid in alive)
        return [held for held in warm if len(held.mib) >= 10]

    def stop(self) -> None:
        """End workers and `count` in good order."""
        for each in [*self.pool.workers.values(), self.counter]:
            assert each is not None
            assert each.end() == 0, each.output[-3000:]

    def _kill(self) -> str:
        victims = self.chance.sample(OTHERS, self.chance.choice((1, 2)))
        self.pool.kill(*victims)
        self.spend(self.chance.uniform(0, 2))
        self.pool.start(*victims)
        return f"kill -9 of {', '.join(sorted(victims))}"

    def _freeze(self) -> str:
        name = self.chance.choice(NAMES)
        # Beyond the session of 6 s; the others also beyond the transaction of 15 s, which may fence them.
        seconds = self.chance.uniform(7, 11 if name == STEADY else 20)
        self.pool.mend()
        frozen = self.pool.workers[name].process
        frozen.send_signal(signal.SIGSTOP)
        self.spend(seconds)
        frozen.send_signal(signal.SIGCONT)
        return f"{name} frozen for {seconds:.0f} s"

    def _visit(self) -> str:
        self.pool.start("visitor")
        self.wait(lambda: "joined" in self.pool.workers["visitor"].output, "the visitor joins")
        stays = self.chance.uniform(0, 3)
        self.spend(stays)
        visitor = self.pool.workers.pop("visitor")
        assert visitor.end() == 0, visitor.output[-3000:]
        return f"a fourth worker joined and left after {stays:.1f} s"

    def _count(self) -> str:
        assert self.counter is not None
        assert self.counter.end(signal.SIGKILL) == -signal.SIGKILL, self.counter.output[-3000:]
        self._start_count()
        return "kill -9 of count"

    def _redis(self) -> str:
        seconds = self.chance.uniform(0, 5)
        self.stack.redis.kill()
        self.spend(seconds)
        self.stack.redis.start()
        return f"kill -9 of Redis, away for {seconds:.1f} s"

    def _broker(self) -> str:
        seconds = self.chance.uniform(0, 5)
        self.stack.broker.kill()
        self.spend(seconds)
        self.stack.broker.start()
        return f"kill -9 of the broker, away for {seconds:.1f} s"

    def _start_count(self) -> None:
        self.counter = self.pool.start_cli("consumer", "count", "--metrics-port", "0", env=self.pool.topics.environment)

    def _lag(self) -> float:
        lag = behind(self.pool.stack, self.pool.topics, self.pool.group)
        return float("inf") if lag is None else lag

    def _look_at_memory(self) -> None:
        self.looked_at = time.monotonic()
        for name, worker in self.pool.workers.items():
            held = self.memory.setdefault(worker.process.pid, Memory(name))
            held.hours.append((self.looked_at - self.began) / 3600)
            held.mib.append(resident_mib(worker.process.pid))


def resident_mib(pid: int) -> float:
    """The memory that a process holds now."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0  # it has just ended


def slope(held: Memory) -> tuple[float, float]:
    """MiB per hour by least squares, and its standard error (which takes the samples for independent)."""
    fitted = linregress(held.hours, held.mib)
    return float(fitted.slope), float(fitted.stderr)


def report(soak: Soak, feed: Feed, out: Outcome, verified: str, warm_up: float) -> Table:
    """What one wants to know of a soak, one line each."""
    table = Table("what", "figure", title=f"{(time.monotonic() - soak.began) / 60:.1f} minutes", title_justify="left")
    faults = ", ".join(f"{kind} {times}" for kind, times in sorted(soak.faults.items()))
    table.add_row("posts", f"{len(feed.sent):,}")
    table.add_row("labelled", f"{len(out.labels):,}")
    table.add_row("dead letters", f"{len(out.dead):,} (poison sent: {len(feed.poison):,})")
    table.add_row("doubled", f"{len(out.doubled):,}")
    table.add_row("lost", f"{len(out.missing):,}")
    table.add_row("counters", verified)
    table.add_row("faults", f"{soak.faults.total()}: {faults}")
    table.add_row("slowest recovery", f"{soak.slowest[0]:.1f} s: {soak.slowest[1]}")
    table.add_row("ended by themselves, rightly", str(len(soak.pool.mended)))
    for warm in soak.warm(warm_up):
        per_hour, error = slope(warm)
        table.add_row(
            f"memory of {warm.name}",
            f"{warm.mib[0]:.1f} MiB, after {warm.seconds / 60:.0f} min {warm.mib[-1]:.1f} MiB: "
            f"{per_hour:+.1f} ± {error:.1f} MiB/h",
        )
    return table


def only_grows(held: Memory) -> bool:
    """Whether a process was watched for long enough, and its memory grew by more than an honest one's."""
    return held.seconds >= JUDGED_FROM and slope(held)[0] > MOST_PER_HOUR


def endure(soak: Soak, seconds: float, kinds: Sequence[str], seed: int) -> None:
    """The whole of it.

    Raises:
        AssertionError: a promise is broken.
    """
    pool, bar = soak.pool, progress(soak.console)
    with bar, feeding(pool.stack, pool.topics, seed, soak.per_second) as feed:
        task = bar.add_task("", total=seconds)

        def tick() -> None:
            text = f"{len(feed.sent):,} posts, {soak.faults.total()} faults"
            bar.update(task, completed=min(seconds, time.monotonic() - soak.began), description=text)

        soak.tick = tick
        soak.run(feed, seconds, kinds)
        soak.wait(lambda: is_settled(pool.stack, pool.topics), "every transaction ended")
        out = came_out(pool.stack, pool.topics, feed, timeout=600)
        soak.wait(lambda: soak.counted() >= len(out.labels), "every label counted")
        verify = pool.start_cli("consumer", "verify", env=pool.topics.environment)
        equal = verify.wait() == 0
    soak.console.print(report(soak, feed, out, verify.output.strip().splitlines()[-1], WARM_UP * seconds))
    assert_each_once(out, feed)
    assert equal, verify.output
    assert soak.counted() == len(out.labels), "other labels were counted than are in the topic"
    growing = [held.name for held in soak.warm(WARM_UP * seconds) if only_grows(held)]
    assert not growing, f"the memory of {growing} grew by more than {MOST_PER_HOUR:g} MiB/h"
    soak.stop()


def progress(console: Console) -> Progress:
    """One line at the foot of a terminal; nothing elsewhere."""
    columns = (BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def chosen(text: str) -> list[str]:
    """The kinds of faults in a comma-separated list."""
    kinds = text.split(",")
    if wrong := set(kinds) - set(FAULTS):
        raise argparse.ArgumentTypeError(f"no such fault: {', '.join(sorted(wrong))}; there are {', '.join(FAULTS)}")
    return kinds


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20, help="how long faults happen (default: 20)")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="of load and faults; printed")
    parser.add_argument("--per-second", type=int, default=120, help="posts (default: 120)")
    parser.add_argument("--faults", type=chosen, default=list(FAULTS), help=f"of {','.join(FAULTS)} (default: all)")
    asked = parser.parse_args(argv)
    console = Console()
    folder = Path(tempfile.mkdtemp(prefix="placestream-soak-"))
    topics = Topics("posts", "labeled-posts", "posts-dlt", 6, "post-vectors")
    with Stack() as stack, background(folder, clean_environment() | stack.environment) as start_cli:
        created = {
            "bootstrap_servers": stack.broker.address,
            "partitions": topics.partitions,
            "vectors_topic": topics.vectors,
        }
        create_topics(CreateSettings.model_validate(created))
        soak = Soak(stack, Pool(stack, topics, start_cli), console, random.Random(asked.seed), asked.per_second)
        try:
            endure(soak, asked.minutes * 60, asked.faults, asked.seed)
            broken = [log.name for log in sorted(folder.iterdir()) if "Traceback" in log.read_text(errors="replace")]
            assert not broken, f"tracebacks in {broken}"
        except AssertionError:
            traceback.print_exc()
            console.print(f"a promise is broken after {dict(soak.faults)}; seed {asked.seed}, logs in {folder}")
            return 1
    shutil.rmtree(folder)
    console.print("nothing lost, nothing doubled, counters equal to a recount")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
