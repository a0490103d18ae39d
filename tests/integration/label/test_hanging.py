"""A broker that comes back after a transaction's timeout may forget to abort it; the next of its name must end it."""

import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition

from consumer.label.settings import LabelSettings
from deploy.local.stack import Stack
from producer.topics import CreateSettings, create_topics
from tests.conftest import background, clean_environment, wait_until
from tests.wire import post, read_all, write


@pytest.fixture
def own_stack() -> Iterator[Stack]:
    """A stack of its own: its broker is killed."""
    with Stack() as running:
        yield running


@pytest.mark.timeout(240)
def test_labels_of_a_transaction_that_the_broker_forgot_never_become_visible(
    own_stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    create_topics(CreateSettings.model_validate({"bootstrap_servers": own_stack.broker.address, "partitions": 2}))
    write(own_stack, "posts", [post(str(number)) for number in range(20)])
    leave_open(own_stack)
    own_stack.broker.kill()
    time.sleep(16)  # the transaction's timeout passes while the broker is down: that is the fault
    own_stack.broker.restart()

    with background(tmp_path_factory.mktemp("worker"), clean_environment() | own_stack.environment) as start:
        worker = start(
            "tests.light", "--stop-at-end", "--metrics-port", "0", "--session-timeout", "6", "--replica", "a"
        )
        assert worker.process.wait(120) == 0, worker.output

    print("forgotten by the broker this time:", "the broker had forgotten" in worker.output)
    labelled = read_all(own_stack, "labeled-posts")
    assert sorted(int(record.key) for record in labelled) == list(range(20))
    everything = read_all(own_stack, "labeled-posts", isolation="read_uncommitted")
    assert len(everything) == 30  # the dead ones really are in the log


def leave_open(stack: Stack) -> None:
    """What a worker of replica a leaves in the log when it dies after sending ten labels and their offsets."""
    servers = stack.broker.address
    member = LabelSettings.model_validate({"replica": "a"}).member
    with closing(
        KafkaConsumer(
            "posts", bootstrap_servers=servers, group_id="placestream", auto_offset_reset="earliest",
            enable_auto_commit=False, session_timeout_ms=6000,
        )
    ) as consumer:  # fmt: skip
        wait_until(lambda: consumer.poll(timeout_ms=200), 60, "records")
        producer = KafkaProducer(
            bootstrap_servers=servers, transactional_id=member, transaction_timeout_ms=15_000, max_block_ms=20_000
        )
        producer.init_transactions()
        producer.begin_transaction()
        for number in range(10):
            producer.send("labeled-posts", b"dead", str(number).encode(), partition=0).get(30)
        offsets = {TopicPartition("posts", 0): OffsetAndMetadata(5, "", -1)}
        producer.send_offsets_to_transaction(offsets, consumer.group_metadata())
    producer._sender.force_close()
    producer._sender.join(5)
