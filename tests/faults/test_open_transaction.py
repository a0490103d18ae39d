"""Commands that read to an end while a transaction is open: they wait for its end, and miss and double nothing."""

import re
import signal
from contextlib import closing

import redis
from kafka import KafkaProducer

from tests.conftest import RunCli, StartCli, wait_until
from tests.faults.feed import AT_LEAST, Feed
from tests.faults.invariants import LEVELS, ends
from tests.faults.pool import Pool
from tests.integration.consumer.count.conftest import counted
from tests.wire import post, read_all

WINDOWS = {"a": "after labels are sent", "b": "after offsets are sent"}
"""Worker -> the moment at which it dies."""


def test_backfill_verify_and_recount_beside_the_open_transaction_of_a_dead_worker(
    pool: Pool, seed: int, counter_prefix: str, redis_client: redis.Redis, run_cli: RunCli, start_cli: StartCli
) -> None:
    pool.module = "tests.faults.light"
    env = pool.topics.environment | {"PLACESTREAM_COUNTER_PREFIX": counter_prefix, "PLACESTREAM_METRICS_PORT": "0"}
    counter = start_cli("consumer", "count", env=env)
    with closing(Feed(pool.stack, pool.topics, seed)) as feed:
        for name, window in WINDOWS.items():
            pool.start(name, flags=("--publish-timeout", "300"), FAULTS_WINDOW=window, FAULTS_AT="10")
            pool.workers[name].wait_for_output(" joined ")
        feed.write(AT_LEAST)
        feed.flush()
        for name in WINDOWS:
            dead = pool.workers.pop(name)
            assert dead.wait() == -signal.SIGKILL, dead.output[-3000:]

        pool.start("c", flags=("--stop-at-end",))
        backfill = pool.workers.pop("c")
        backfill.wait_for_output("an open transaction of another worker holds it")
        wait_until(lambda: redis_client.exists(f"{counter_prefix}:offsets"), what="something is counted")
        verified = run_cli("consumer", "verify", env=env)
        assert verified.returncode == 0, verified.stdout + verified.stderr
        recount = start_cli("consumer", "recount", env=env)
        recount.wait_for_output("a producer's transaction is open")
        assert is_open(pool), "the transaction ended too early: this shows nothing"
        for name in WINDOWS:
            end_transaction(pool, name)

        assert backfill.wait() == 0, backfill.output[-3000:]
        assert recount.wait() == 0, recount.output
        assert re.search(r"recounted [\d,]+ labelled posts", recount.output)

        pool.start("d")
        pool.finish(feed)
    labels = len(read_all(pool.stack, pool.topics.output))
    wait_until(lambda: counted(redis_client, counter_prefix) == labels, what="every label counted")
    assert counter.end() == 0, counter.output[-3000:]
    assert f"the counters equal the {labels:,} labelled posts" in run_cli("consumer", "verify", env=env).stdout
    again = run_cli("consumer", "recount", env=env)
    assert f"recounted {labels:,} labelled posts" in again.stdout, again.stderr


def test_a_backfill_says_that_it_waits_for_an_open_transaction_in_its_input(pool: Pool, seed: int) -> None:
    with (
        closing(Feed(pool.stack, pool.topics, seed)) as feed,
        closing(
            KafkaProducer(bootstrap_servers=pool.stack.broker.address, transactional_id=f"{pool.group}-writer")
        ) as writer,
    ):
        feed.write(AT_LEAST // 2)
        feed.flush()
        writer.init_transactions()
        writer.begin_transaction()
        for number in range(pool.topics.partitions):
            key, value, headers = post("never committed")
            writer.send(pool.topics.input, value, key, headers, partition=number).get(30)
        feed.write(AT_LEAST // 2)  # hidden behind it
        feed.flush()
        pool.start("a", flags=("--stop-at-end",))
        backfill = pool.workers.pop("a")
        backfill.wait_for_output("waiting for an open transaction of another producer")
        writer.abort_transaction()
        assert backfill.wait() == 0, backfill.output[-3000:]
        assert re.search(rf"ended labeled={AT_LEAST - len(feed.poison)} dead={len(feed.poison)}", backfill.output)
        pool.start("b")
        feed.write(pool.topics.partitions)  # the group commits what is behind records: so none ends with a marker
        pool.finish(feed)


def end_transaction(pool: Pool, name: str) -> None:
    """What a worker's transactional id has open is aborted, as when its successor begins."""
    producer = KafkaProducer(
        bootstrap_servers=pool.stack.broker.address, transactional_id=f"{pool.group}-{name}", max_block_ms=20_000
    )
    with closing(producer):
        producer.init_transactions()


def is_open(pool: Pool) -> bool:
    """Whether a transaction in the outputs hides something of them."""
    outputs = (pool.topics.output, pool.topics.dead_letter)
    everything, stable = ([ends(pool.stack, topic, level) for topic in outputs] for level in LEVELS)
    return everything != stable
