"""`count` killed again and again, its Redis killed, emptied, set back and paused, while two count: all stays right."""

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from deploy.local.redis_server import RedisServer, find_server
from tests.conftest import Background, RunCli, wait_until
from tests.faults.feed import feeding
from tests.faults.pool import NAMES, Pool
from tests.integration.consumer.count.conftest import counted as posts_in
from tests.wire import read_all

KILLS_EACH = 2
"""Kills of `count` before each fault of its Redis."""
FAULTS = ("killed", "emptied", "set back", "paused")
"""Of Redis. Paused means: for longer than `count` waits for an answer."""
LOST = "lost Redis"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of this test's own."""
    running = RedisServer(tmp_path / "redis", find_server(lambda line: None))
    running.start()
    yield running
    running.kill()


def takes_part(counter: Background) -> bool:
    """Whether it has tried to count; of two that share a core the other may always be faster."""
    return "counted" in counter.output or "Redis stands elsewhere" in counter.output


def test_counters_survive_kills_of_count_and_every_fault_of_redis_while_two_count(
    pool: Pool, seed: int, server: RedisServer, counter_prefix: str, run_cli: RunCli, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    env = pool.topics.environment | {
        "PLACESTREAM_REDIS_URL": server.url,
        "PLACESTREAM_COUNTER_PREFIX": counter_prefix,
    }

    def start() -> Background:
        return pool.start_cli("consumer", "count", "--metrics-port", "0", env=env)

    def counted() -> int:
        with redis.Redis.from_url(server.url, decode_responses=True) as client:
            return posts_in(client, counter_prefix)

    def wait_for_more() -> int:
        before = counted()
        wait_until(lambda: counted() > before, what="more is counted")
        return before

    def kill_some() -> None:
        for number in chance.choice(([0], [1], [0, 1])):
            assert counters[number].end(signal.SIGKILL) == -signal.SIGKILL
            killed.append(number)
            counters[number] = start()

    def break_redis(fault: str) -> None:
        """Returns when it serves again."""
        data, published = server.folder / "appendonlydir", pool.published("a")
        lost = [(counter, counter.output.count(LOST)) for counter in counters]
        pid = server.pid
        assert pid
        if fault == "paused":
            os.kill(pid, signal.SIGSTOP)
        else:
            server.kill()
        wait_until(lambda: all(counter.output.count(LOST) > times for counter, times in lost), what="Redis lost")
        wait_until(lambda: pool.published("a") > published, what="labelling goes on without Redis")
        if fault == "paused":
            os.kill(pid, signal.SIGCONT)
            return
        if fault != "killed":
            shutil.rmtree(data)
        if fault == "set back":
            shutil.copytree(tmp_path / fault, data)
        server.start()

    pool.start(*NAMES)
    counters, killed = [start(), start()], list[int]()
    with feeding(pool.stack, pool.topics, seed) as feed:
        pool.wait_published(*NAMES)
        for number, fault in enumerate(FAULTS, start=1):
            while len(killed) < KILLS_EACH * number:
                wait_for_more()
                time.sleep(chance.uniform(0, 0.3))
                kill_some()
            shutil.copytree(server.folder / "appendonlydir", tmp_path / fault)
            before = wait_for_more()  # that is not in the copy
            wait_until(lambda: all(map(takes_part, counters)), what="both counters at work")
            break_redis(fault)
            wait_until(lambda before=before: counted() > before, what="all counted again and more")  # type: ignore[misc]
        pool.finish(feed)
    labels = len(read_all(pool.stack, pool.topics.output))
    wait_until(lambda: counted() >= labels, what="every label counted")
    verified = run_cli("consumer", "verify", env=env)
    print(f"counts killed {len(killed)}: {verified.stdout.strip()}")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert f"the counters equal the {labels:,} labelled posts" in verified.stdout
    for counter in counters:
        assert counter.end() == 0, counter.output[-3000:]
        assert "Traceback" not in counter.output
