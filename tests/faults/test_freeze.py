"""Workers that are frozen for so long that the group, or the broker, gives up on them, and then thawed."""

import re
import signal
from contextlib import closing

from kafka import KafkaAdminClient
from kafka.admin import TransactionState

from tests.conftest import Background, wait_until
from tests.faults.feed import feeding
from tests.faults.invariants import LEVELS, aborted, ends, members
from tests.faults.pool import NAMES, Pool


def test_frozen_workers_publish_nothing_old_when_they_thaw(pool: Pool, seed: int) -> None:
    pool.module = "tests.faults.light"
    pool.start("a", FAULTS_WINDOW="after labels are sent", FAULTS_AT="3", FAULTS_SIGNAL="SIGSTOP")
    pool.start("b", FAULTS_WINDOW="after offsets are sent", FAULTS_AT="3", FAULTS_SIGNAL="SIGSTOP")
    pool.start("c")
    with feeding(pool.stack, pool.topics, seed) as feed:
        frozen = {name: pool.workers[name] for name in ("a", "b")}
        for worker in frozen.values():
            worker.wait_for_output("reached: ")
        outputs = (pool.topics.output, pool.topics.dead_letter)
        sent = {topic: ends(pool.stack, topic, LEVELS[0]) for topic in outputs}

        wait_until(lambda: not {"a", "b"} & alive(pool), what="the group gives up on both")
        thaw(pool, "a")

        def transactions_are_over() -> bool:
            stable = {topic: ends(pool.stack, topic, LEVELS[1]) for topic in outputs}
            return all(stable[topic][number] >= end for topic in outputs for number, end in sent[topic].items())

        wait_until(transactions_are_over, what="the broker gives up on the transactions")
        thaw(pool, "b")

        pool.workers["c"].process.send_signal(signal.SIGSTOP)  # wherever it is
        wait_until(lambda: "c" not in alive(pool), what="the group gives up on the third")
        thaw(pool, "c")
        pool.wait_published(*NAMES)
        pool.finish(feed)
    for worker in frozen.values():
        assert went_back_or_was_fenced(worker), worker.output[-3000:]
    gone = aborted(pool.stack, pool.topics)
    print(f"aborted records in the log: {gone}")
    assert gone > 0


def test_workers_frozen_with_a_send_outstanding_publish_nothing_of_its_transaction_when_they_thaw(
    pool: Pool, seed: int
) -> None:
    # kafka-python's commit returns normally without such records (consumer/kafka/README.md, fact 7)
    pool.module, window = "tests.faults.light", "before the last label is acknowledged"
    # When a thaws, its send is older than its delivery timeout and mostly expires; that of b the broker refuses.
    pool.start("a", FAULTS_WINDOW=window, FAULTS_AT="3", FAULTS_SIGNAL="SIGSTOP")
    pool.start(
        "b",
        flags=("--session-timeout", "30"),
        FAULTS_TRANSACTION_MS="5000",
        FAULTS_WINDOW=window,
        FAULTS_AT="3",
        FAULTS_SIGNAL="SIGSTOP",
    )
    pool.start("c")
    for worker in pool.workers.values():  # else the others wait for whoever freezes while they join
        worker.wait_for_output(" joined ")
    with feeding(pool.stack, pool.topics, seed) as feed:
        frozen = {name: pool.workers[name] for name in ("a", "b")}
        for name in ("b", "a"):
            frozen[name].wait_for_output("reached: ")
            wait_until(lambda name=name: is_aborted(pool, name), what=f"the broker gives up on {name}")  # type: ignore[misc]
            assert name == "a" or name in alive(pool)  # it has lost its transaction, but not its partitions
            thaw(pool, name)
        pool.wait_published(*NAMES)
        pool.finish(feed)
    for worker in frozen.values():
        assert went_back_or_was_fenced(worker), worker.output[-3000:]
    gone = aborted(pool.stack, pool.topics)
    print(f"aborted records in the log: {gone}")
    assert gone > 0


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
    """Let it go on; it, or whoever comes in its place when it is fenced, must get back to work."""
    pool.workers[name].process.send_signal(signal.SIGCONT)
    pool.wait_published(name)


def went_back_or_was_fenced(worker: Background) -> bool:
    """Whether it noticed, once thawed, that the world had moved on: before it published anything."""
    first = re.search(r" published | resync |fenced", worker.output.rpartition("reached: ")[2])
    return first is not None and first[0] != " published "
