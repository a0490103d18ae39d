"""What a broker that comes back forgets to end, the next worker of its name must end as it was decided."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.admin import ConfigResource
from kafka.producer.transaction_manager import TransactionalRequestResult, TxnOffsetCommitHandler

from deploy.local.stack import Stack
from tests.conftest import StartCli, Topics, wait_until
from tests.integration.consumer.label.conftest import ONCE
from tests.wire import post, read_all, write

POSTS = [str(number) for number in range(20)]
"""Even ones are in partition 0."""
FORGOTTEN = POSTS[1:10:2]
"""Whose labels lie in the log when the broker forgets to end their transaction."""
TIMEOUT = 8
"""Seconds of the dead worker's transactions."""

LabelAll = Callable[[str], tuple[str, list[Any]]]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack of these tests' own: its broker is killed, and told to verify nothing."""
    with Stack() as running:
        yield running


@pytest.fixture
def label_all(stack: Stack, topics: Topics, start_cli: StartCli) -> LabelAll:
    """Runs the worker of this replica to the end: its output, and the labels, one of each post."""

    def run(replica: str) -> tuple[str, list[Any]]:
        worker = start_cli("tests.light", *ONCE, "--replica", replica, env=topics.environment)
        assert worker.wait() == 0, worker.output
        labels = read_all(stack, topics.output)
        assert sorted(int(label.key) for label in labels) == list(range(20))
        return worker.output, labels

    return run


def test_labels_of_a_transaction_that_the_broker_forgot_never_become_visible(
    stack: Stack, topics: Topics, label_all: LabelAll
) -> None:
    leave_open(stack, topics)
    stack.broker.kill()
    time.sleep(TIMEOUT + 1)  # the transaction's timeout passes while the broker is down: that is the fault
    stack.broker.restart()

    output, _ = label_all("a")

    print("forgotten by the broker this time:", "the broker had forgotten" in output)
    everything = read_all(stack, topics.output, isolation="read_uncommitted")
    assert len(everything) == 30  # the dead ones really are in the log


@pytest.mark.parametrize("replica", ["a", "b"], ids=["by its own name", "by another, when its name never returns"])
def test_a_commit_that_the_broker_forgot_is_completed_and_nothing_of_it_comes_twice(
    stack: Stack, topics: Topics, label_all: LabelAll, replica: str
) -> None:
    forget(stack, topics)
    assert read_all(stack, topics.output) == []

    output, labels = label_all(replica)

    assert output.count("the broker had forgotten") == 2  # the labels, and their offsets
    assert output.count("by=commit") == 2
    assert [label.key.decode() for label in labels if label.value == b"dead"] == FORGOTTEN


def test_labels_that_the_broker_forgot_to_abort_hide_nothing_although_their_name_never_returns(
    stack: Stack, topics: Topics, label_all: LabelAll
) -> None:
    forget(stack, topics, is_commit=False)

    output, labels = label_all("b")

    assert output.count("by=abort") == 1
    assert not [label for label in labels if label.value == b"dead"]
    assert len(read_all(stack, topics.output, isolation="read_uncommitted")) == 25


@contextmanager
def dead_worker(stack: Stack, topics: Topics) -> Iterator[tuple[KafkaProducer, KafkaConsumer]]:
    """The initialised producer of replica a, and a member of its group, which has posts; both die after the block."""
    write(stack, topics.input, map(post, POSTS))
    servers = stack.broker.address
    with closing(
        KafkaConsumer(
            topics.input,
            bootstrap_servers=servers,
            group_id=topics.input,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=6000,
        )
    ) as consumer:
        consumer.partitions_for_topic(topics.input)  # else it joins without, and joining a second time may hang
        wait_until(lambda: consumer.poll(timeout_ms=200), what="records")
        producer = KafkaProducer(
            bootstrap_servers=servers,
            transactional_id=f"{topics.input}-a",
            transaction_timeout_ms=TIMEOUT * 1000,
            max_block_ms=20_000,
        )
        producer.init_transactions()
        producer.begin_transaction()
        yield producer, consumer
    producer._sender.force_close()
    producer._sender.join(5)


def send_labels(producer: KafkaProducer, topics: Topics, posts: Sequence[str], partition: int) -> None:
    for post_id in posts:
        producer.send(topics.output, b"dead", post_id.encode(), partition=partition).get(30)


def leave_open(stack: Stack, topics: Topics) -> None:
    """What a worker of replica a leaves in the log when it dies after sending ten labels and their offsets."""
    with dead_worker(stack, topics) as (producer, consumer):
        send_labels(producer, topics, POSTS[:10], partition=0)
        offsets = {TopicPartition(topics.input, 0): OffsetAndMetadata(5, "", -1)}
        producer.send_offsets_to_transaction(offsets, consumer.group_metadata())


def forget(stack: Stack, topics: Topics, is_commit: bool = True) -> None:
    """What a worker leaves that published, or aborted, labels of partition 1, if the broker forgets to complete that.

    A kill of the broker brings that about now and then. Here the labels, and the offsets of a commit, are sent behind
    the coordinator's back, for whom the last transaction is complete; a broker that does not verify lets them pass.
    """
    with closing(KafkaAdminClient(bootstrap_servers=stack.broker.address)) as admin:
        unverified = ConfigResource(
            "BROKER", str(stack.broker.node_id), {"transaction.partition.verification.enable": "false"}
        )
        admin.alter_configs([unverified])
    with dead_worker(stack, topics) as (producer, consumer):
        producer.send(topics.dead_letter, b"", partition=0).get(30)
        (producer.commit_transaction if is_commit else producer.abort_transaction)()

        manager, group = producer._transaction_manager, consumer.group_metadata()
        producer.begin_transaction()
        manager._partitions_in_transaction.add(TopicPartition(topics.output, 1))
        send_labels(producer, topics, FORGOTTEN, partition=1)
        if is_commit:
            offsets = {TopicPartition(topics.input, 1): OffsetAndMetadata(len(FORGOTTEN), "", -1)}
            manager._pending_txn_offset_commits.update(offsets)
            sent = TransactionalRequestResult()
            manager._enqueue_request(TxnOffsetCommitHandler(manager, group, offsets, sent))
            producer._sender.wakeup()
            assert sent.wait(30_000)
