"""Workers that are frozen for so long that the group, or the broker, gives up on them, and then thawed."""

import re
import signal
from collections.abc import Mapping
from contextlib import closing

from kafka import KafkaAdminClient
from kafka.admin import TransactionState

from tests.conftest import Background, wait_until
from tests.faults.feed import feeding
from tests.faults.invariants import aborted, members
from tests.faults.pool import NAMES, Pool

PER_SECOND = 80
"""Posts; while workers are frozen they pile up, and all have to be labelled and read in the end."""


def test_frozen_workers_publish_nothing_old_when_they_thaw(pool: Pool, seed: int) -> None:
    pool.module = "tests.faults.light"
    start_frozen(pool, "a", "after labels are sent")
    # The broker gives up on its transaction soon after the group has given up on it.
    start_frozen(pool, "b", "after offsets are sent", FAULTS_TRANSACTION_MS="8000")
    pool.start("c")
    with feeding(pool.stack, pool.topics, seed, PER_SECOND) as feed:
        frozen = {name: pool.workers[name] for name in ("a", "b")}
        for worker in frozen.values():
            worker.wait_for_output("reached: ")

        wait_until(lambda: not {"a", "b"} & alive(pool), what="the group gives up on both")
        thaw(pool, "a")
        wait_until(lambda: is_aborted(pool, "b"), what="the broker gives up on the transaction")
        thaw(pool, "b")
        pool.wait_published("a", "b")

        pool.workers["c"].process.send_signal(signal.SIGSTOP)  # wherever it is
        wait_until(lambda: "c" not in alive(pool), what="the group gives up on the third")
        thaw(pool, "c")
        pool.wait_published(*NAMES)
        pool.finish(feed)
    assert_nothing_old(pool, frozen)


def test_workers_frozen_with_a_send_outstanding_publish_nothing_of_its_transaction_when_they_thaw(
    pool: Pool, seed: int
) -> None:
    # kafka-python's commit returns normally without such records (consumer/kafka/README.md, fact 7)
    pool.module, window = "tests.faults.light", "before the last label is acknowledged"
    # When a thaws, its send is older than its delivery timeout and mostly expires; that of b the broker refuses.
    start_frozen(pool, "a", window)
    start_frozen(pool, "b", window, "--session-timeout", "30", FAULTS_TRANSACTION_MS="5000")
    pool.start("c")
    for worker in pool.workers.values():  # else the others wait for whoever freezes while they join
        worker.wait_for_output(" joined ")
    with feeding(pool.stack, pool.topics, seed, PER_SECOND) as feed:
        frozen = {name: pool.workers[name] for name in ("b", "a")}
        for name, worker in frozen.items():
            worker.wait_for_output("reached: ")
            wait_until(lambda name=name: is_aborted(pool, name), what=f"the broker gives up on {name}")  # type: ignore[misc]
            assert name == "a" or name in alive(pool)  # it has lost its transaction, but not its partitions
            thaw(pool, name)
        pool.wait_published(*NAMES)
        pool.finish(feed)
    assert_nothing_old(pool, frozen)


def start_frozen(pool: Pool, name: str, window: str, *flags: str, **environment: str) -> None:
    """Start a worker that freezes at this moment of its third batch."""
    pool.start(name, flags=flags, FAULTS_WINDOW=window, FAULTS_AT="3", FAULTS_SIGNAL="SIGSTOP", **environment)


def assert_nothing_old(pool: Pool, frozen: Mapping[str, Background]) -> None:
    """Each noticed, once thawed, that the world had moved on, before it published anything; something was aborted."""
    for worker in frozen.values():
        first = re.search(r" published | resync |fenced", worker.output.rpartition("reached: ")[2])
        assert first is not None, worker.output[-3000:]
        assert first[0] != " published ", worker.output[-3000:]
    assert aborted(pool.stack, pool.topics) > 0


def alive(pool: Pool) -> set[str]:
    """Names of the group's members."""
    return {member.rpartition("-")[2] for member in members(pool.stack, pool.group)}


def is_aborted(pool: Pool, name: str) -> bool:
    """Whether the broker has ended a worker's last transaction by an abort."""
    transactional_id = f"{pool.group}-{name}"
    with closing(KafkaAdminClient(bootstrap_servers=pool.stack.broker.address)) as admin:
        state = admin.describe_transactions([transactional_id])[transactional_id].state
    return bool(state == TransactionState.COMPLETE_ABORT)


def thaw(pool: Pool, name: str) -> None:
    """Let it go on; it, or whoever comes in its place when it is fenced, must get back to work in the end."""
    pool.workers[name].process.send_signal(signal.SIGCONT)
