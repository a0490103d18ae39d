"""A worker killed at each named moment of a batch: what was not committed comes again, what was does not."""

import random
import signal

from tests.conftest import wait_until
from tests.faults.feed import feeding
from tests.faults.invariants import aborted
from tests.faults.light import WINDOWS
from tests.faults.pool import NAMES, Pool


def test_a_worker_killed_at_each_moment_of_a_batch_loses_and_doubles_nothing(pool: Pool, seed: int) -> None:
    chance = random.Random(seed)
    pool.module = "tests.faults.light"
    windows = iter(WINDOWS)
    waiting: dict[str, str] = {}  # worker -> the moment it dies at
    hit: list[str] = []

    def start(name: str) -> None:
        if window := next(windows, None):
            waiting[name] = window
            pool.start(name, FAULTS_WINDOW=window, FAULTS_AT=str(chance.randint(1, 6)))
        else:
            pool.start(name)

    def all_hit() -> bool:
        for name in [name for name in waiting if pool.workers[name].process.poll() is not None]:
            worker, window = pool.workers.pop(name), waiting.pop(name)
            assert worker.process.returncode == -signal.SIGKILL, worker.output[-3000:]
            assert f"reached: {window}" in worker.output
            hit.append(window)
            pool.killed += 1
            start(name)
        return len(hit) == len(WINDOWS)

    for name in NAMES:
        start(name)
    with feeding(pool.stack, pool.topics, seed) as feed:
        wait_until(all_hit, what="every moment reached")
        pool.wait_published(*NAMES)
        pool.finish(feed)
    assert sorted(hit) == sorted(WINDOWS)
    assert aborted(pool.stack, pool.topics) > 0  # three of the moments lie between the labels and their commit
