"""The only broker killed with `kill -9` and started again, and frozen and thawed, while workers label."""

import os
import random
import signal
import time
from collections.abc import Iterator

import pytest

from deploy.local.stack import Stack
from tests.conftest import wait_until
from tests.faults.feed import feeding
from tests.faults.pool import NAMES, Pool, resyncs

KILLS = 3
WENT_BACK = ("broker", "publish")
"""Causes for which a worker goes back to the committed offsets when its broker is away."""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack of these tests' own: its broker is killed."""
    with Stack() as running:
        yield running


def test_workers_outlive_a_broker_that_is_killed_three_times(pool: Pool, seed: int, stack: Stack) -> None:
    chance, broker = random.Random(seed), stack.broker
    pool.start(*NAMES)
    pids = set()
    with feeding(stack, pool.topics, seed) as feed:
        pool.wait_published(*NAMES)
        early = len(pool.mended)
        for _ in range(KILLS):
            pool.wait_published(*NAMES)
            pids.add(broker.pid)
            time.sleep(chance.uniform(0, 0.3))  # when in the workers' work it dies is left to chance
            broker.kill()
            broker.start()
        pids.add(broker.pid)
        pool.wait_published(*NAMES)
        pool.finish(feed)
    assert len(pids) == KILLS + 1
    assert_outlived(pool.mended[early:])


def test_workers_outlive_a_broker_that_is_frozen_beyond_every_timeout_of_a_send(
    pool: Pool, seed: int, stack: Stack
) -> None:
    broker = stack.broker
    assert broker.pid
    pool.start(*NAMES, flags=("--publish-timeout", "10"))
    with feeding(stack, pool.topics, seed) as feed:
        pool.wait_published(*NAMES)
        early = len(pool.mended)
        before = went_back(pool)
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            time.sleep(8)  # that long it does not answer: that is the fault
            wait_until(lambda: went_back(pool) > before, what="a worker gives up on its batch")
        finally:
            os.kill(broker.pid, signal.SIGCONT)
        pool.wait_published(*NAMES)
        pool.finish(feed)
    assert_outlived(pool.mended[early:])


def assert_outlived(ended: list[str]) -> None:
    """A lost broker ends no worker, save one whose transaction outlived its timeout meanwhile."""
    assert all("fenced" in last for last in ended), ended


def went_back(pool: Pool) -> int:
    """How often the workers have gone back to the committed offsets because of their broker."""
    return sum(resyncs(worker, cause) for worker in pool.workers.values() for cause in WENT_BACK)
