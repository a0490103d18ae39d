"""`count` and its Redis killed again and again, two counts at once, while labels come: the counters stay right."""

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
from tests.faults.pool import NAMES, PATIENCE, Pool
from tests.wire import read_all

KILLS = 8


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of this test's own."""
    running = RedisServer(tmp_path / "redis", find_server(lambda line: None))
    running.start()
    yield running
    running.kill()


@pytest.mark.timeout(900)
def test_counters_survive_kills_of_count_and_redis_while_two_count(
    pool: Pool, seed: int, server: RedisServer, counter_prefix: str, run_cli: RunCli
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
            stamps: dict[str, str] = client.hgetall(f"{counter_prefix}:stamps")
        return sum(map(int, stamps.values()))

    def wait_for_more() -> int:
        before = counted()
        wait_until(lambda: counted() > before, PATIENCE, "more is counted")
        return before

    def kill_some() -> None:
        for number in chance.choice(([0], [1], [0, 1])):
            assert counters[number].end(signal.SIGKILL) == -signal.SIGKILL
            killed.append(number)
            counters[number] = start()

    pool.start(*NAMES)
    counters, killed = [start(), start()], list[int]()
    with feeding(pool.stack, pool.topics, seed) as feed:
        pool.wait_published(*NAMES)
        for fault in ("kept", "emptied"):
            while len(killed) < KILLS // 2 * (1 if fault == "kept" else 2):
                wait_for_more()
                time.sleep(chance.uniform(0, 0.3))
                kill_some()
            before = wait_for_more()
            for counter in counters:
                counter.wait_for_output("counted", PATIENCE)
            server.kill()
            if fault == "emptied":
                shutil.rmtree(server.folder / "appendonlydir")
            for counter in counters:
                counter.wait_for_output("lost Redis or the broker", PATIENCE)
            server.start()
            assert (counted() == 0) == (fault == "emptied")
            wait_until(lambda before=before: counted() > before, PATIENCE, "all counted again and more")  # type: ignore[misc]
        pool.finish(feed)
    labels = len(read_all(pool.stack, pool.topics.output))
    wait_until(lambda: counted() >= labels, PATIENCE, "every label counted")
    verified = run_cli("consumer", "verify", env=env)
    print(f"counts killed {len(killed)}: {verified.stdout.strip()}")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert f"the counters equal the {labels:,} labelled posts" in verified.stdout
    for counter in counters:
        assert counter.end() == 0, counter.output[-3000:]
        assert "Traceback" not in counter.output
