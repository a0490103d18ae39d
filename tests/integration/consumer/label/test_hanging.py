"""What a broker that comes back forgets to end, the next worker of its name must end as it was decided."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.admin import ConfigResource
from kafka.producer.transaction_manager import TransactionalRequestResult, TxnOffsetCommitHandler

from consumer.label.settings import LabelSettings
from deploy.local.stack import Stack
from producer.topics import CreateSettings, create_topics
from tests.conftest import background, clean_environment, wait_until
from tests.integration.consumer.label.conftest import ONCE
from tests.wire import post, read_all, write


@pytest.fixture
def own_stack() -> Iterator[Stack]:
    """A stack of its own, with the three topics: its broker is killed."""
    with Stack() as running:
        create_topics(CreateSettings.model_validate({"bootstrap_servers": running.broker.address, "partitions": 2}))
        yield running


def test_labels_of_a_transaction_that_the_broker_forgot_never_become_visible(
    own_stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    write(own_stack, "posts", [post(str(number)) for number in range(20)])
    leave_open(own_stack)
    own_stack.broker.kill()
    time.sleep(16)  # the transaction's timeout passes while the broker is down: that is the fault
    own_stack.broker.restart()

    with background(tmp_path_factory.mktemp("worker"), clean_environment() | own_stack.environment) as start:
        worker = start("tests.light", *ONCE, "--replica", "a")
        assert worker.wait() == 0, worker.output

    print("forgotten by the broker this time:", "the broker had forgotten" in worker.output)
    labelled = read_all(own_stack, "labeled-posts")
    assert sorted(int(record.key) for record in labelled) == list(range(20))
    everything = read_all(own_stack, "labeled-posts", isolation="read_uncommitted")
    assert len(everything) == 30  # the dead ones really are in the log


@pytest.mark.parametrize("replica", ["a", "b"], ids=["by its own name", "by another, when its name never returns"])
def test_a_commit_that_the_broker_forgot_is_completed_and_nothing_of_it_comes_twice(
    own_stack: Stack, tmp_path_factory: pytest.TempPathFactory, replica: str
) -> None:
    write(own_stack, "posts", [post(str(number)) for number in range(20)])  # even ones in partition 0
    forget(own_stack, [str(number) for number in range(1, 10, 2)])
    assert read_all(own_stack, "labeled-posts") == []

    with background(tmp_path_factory.mktemp("worker"), clean_environment() | own_stack.environment) as start:
        worker = start("tests.light", *ONCE, "--replica", replica)
        assert worker.wait() == 0, worker.output

    assert worker.output.count("the broker had forgotten") == 2  # the labels, and their offsets
    assert worker.output.count("by=commit") == 2
    labelled = read_all(own_stack, "labeled-posts")
    assert sorted(int(record.key) for record in labelled) == list(range(20))
    assert [record.key.decode() for record in labelled if record.value == b"dead"] == ["1", "3", "5", "7", "9"]


def test_labels_that_the_broker_forgot_to_abort_hide_nothing_although_their_name_never_returns(
    own_stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    write(own_stack, "posts", [post(str(number)) for number in range(20)])
    forget(own_stack, [str(number) for number in range(1, 10, 2)], is_commit=False, with_offsets=False)

    with background(tmp_path_factory.mktemp("worker"), clean_environment() | own_stack.environment) as start:
        worker = start("tests.light", *ONCE, "--replica", "b")
        assert worker.wait() == 0, worker.output

    assert worker.output.count("by=abort") == 1
    labelled = read_all(own_stack, "labeled-posts")
    assert sorted(int(record.key) for record in labelled) == list(range(20))
    assert not [record for record in labelled if record.value == b"dead"]
    assert len(read_all(own_stack, "labeled-posts", isolation="read_uncommitted")) == 25


@contextmanager
def dead_worker(stack: Stack) -> Iterator[tuple[KafkaProducer, KafkaConsumer]]:
    """The initialised producer of replica a, and a member of its group; both die at the end of the block."""
    servers = stack.broker.address
    member = LabelSettings.model_validate({"replica": "a"}).member
    with closing(
        KafkaConsumer(
            "posts",
            bootstrap_servers=servers,
            group_id="placestream",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=6000,
        )
    ) as consumer:
        wait_until(lambda: consumer.poll(timeout_ms=200), what="records")
        producer = KafkaProducer(
            bootstrap_servers=servers, transactional_id=member, transaction_timeout_ms=15_000, max_block_ms=20_000
        )
        producer.init_transactions()
        yield producer, consumer
    producer._sender.force_close()
    producer._sender.join(5)


def leave_open(stack: Stack) -> None:
    """What a worker of replica a leaves in the log when it dies after sending ten labels and their offsets."""
    with dead_worker(stack) as (producer, consumer):
        producer.begin_transaction()
        for number in range(10):
            producer.send("labeled-posts", b"dead", str(number).encode(), partition=0).get(30)
        offsets = {TopicPartition("posts", 0): OffsetAndMetadata(5, "", -1)}
        producer.send_offsets_to_transaction(offsets, consumer.group_metadata())


def forget(stack: Stack, posts: list[str], is_commit: bool = True, with_offsets: bool = True) -> None:
    """What a worker leaves that published these posts of partition 1, if the broker forgets to complete its decision.

    A kill of the broker brings that about now and then. Here the labels and offsets are sent behind the coordinator's
    back, for whom the last transaction is complete; a broker that does not verify lets them pass.
    """
    with closing(KafkaAdminClient(bootstrap_servers=stack.broker.address)) as admin:
        unverified = ConfigResource(
            "BROKER", str(stack.broker.node_id), {"transaction.partition.verification.enable": "false"}
        )
        admin.alter_configs([unverified])
    with dead_worker(stack) as (producer, consumer):
        producer.begin_transaction()
        producer.send("posts-dlt", b"", partition=0).get(30)
        (producer.commit_transaction if is_commit else producer.abort_transaction)()

        manager, group = producer._transaction_manager, consumer.group_metadata()
        producer.begin_transaction()
        manager._partitions_in_transaction.add(TopicPartition("labeled-posts", 1))
        for post_id in posts:
            producer.send("labeled-posts", b"dead", post_id.encode(), partition=1).get(30)
        if with_offsets:
            offsets = {TopicPartition("posts", 1): OffsetAndMetadata(len(posts), "", -1)}
            manager._pending_txn_offset_commits.update(offsets)
            sent = TransactionalRequestResult()
            manager._enqueue_request(TxnOffsetCommitHandler(manager, group, offsets, sent))
            producer._sender.wakeup()
            assert sent.wait(30_000)
