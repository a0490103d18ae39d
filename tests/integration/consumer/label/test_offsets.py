"""The input changes under the worker: records expire, the topic is recreated, a record cannot be read."""

import signal
import time
from collections import Counter
from contextlib import closing

import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

from consumer.label.read import LOOK_EVERY
from deploy.local.stack import Stack
from tests.conftest import RunCli, StartCli, Topics, wait_until
from tests.integration.consumer.count.conftest import metric, write_unreadable
from tests.integration.consumer.label.conftest import ONCE, ids, label, labelled
from tests.wire import post, recreate, write


def test_records_that_expired_unread_are_said_counted_once_and_passed(
    stack: Stack, topics: Topics, run_cli: RunCli, admin: KafkaAdminClient
) -> None:
    write(stack, topics.input, [post(str(number)) for number in range(20)])
    label(run_cli, topics)
    write(stack, topics.input, [post(str(number)) for number in range(20, 60)])
    admin.delete_records({TopicPartition(topics.input, 0): 25, TopicPartition(topics.input, 1): 10})

    first = label(run_cli, topics)
    second = label(run_cli, topics)

    assert "records expired before they were read" in first
    assert "partition=0 committed=10 going_on_at=25 passed=15" in first
    assert "expired" not in second
    survivors = [str(n) for n in range(60) if n < 20 or n % 2 == 1 or n >= 50]  # even ones are in partition 0
    assert labelled(stack, topics) == sorted(survivors)


def test_records_that_expire_under_a_running_worker_are_said_and_passed(
    stack: Stack, topics: Topics, start_cli: StartCli, admin: KafkaAdminClient
) -> None:
    write(stack, topics.input, [post(str(number)) for number in range(20)])
    worker = start_cli("tests.light", *ONCE[1:], "--session-timeout", "30", env=topics.environment)
    wait_until(lambda: labelled(stack, topics) == ids(20), what="the first posts")

    worker.process.send_signal(signal.SIGSTOP)
    time.sleep(2)  # the broker answers the fetches that are under way, with nothing, after half a second
    write(stack, topics.input, [post(str(number)) for number in range(20, 60)])
    admin.delete_records({TopicPartition(topics.input, 0): 25, TopicPartition(topics.input, 1): 10})
    worker.process.send_signal(signal.SIGCONT)

    wait_until(lambda: len(labelled(stack, topics)) >= 45, what="what is left")
    assert "resync cause=offset" in worker.output
    assert "partition=0 committed=10 going_on_at=25 passed=15" in worker.output
    expired = [metric(worker, f'placestream_expired_records_total{{partition="{number}"}}') for number in (0, 1)]
    assert expired == [15, 0]
    assert worker.end() == 0, worker.output


def test_a_recreated_topic_under_a_busy_worker_is_said_and_read_from_its_beginning(
    stack: Stack, topics: Topics, start_cli: StartCli, admin: KafkaAdminClient
) -> None:
    write(stack, topics.input, [post(f"old-{number}") for number in range(400)])
    worker = start_cli("tests.light", *ONCE[1:], "--batch-size", "8", env=topics.environment)
    wait_until(lambda: worker.output.count("published") > 3, what="a few batches")

    recreate(admin, topics.input)
    time.sleep(LOOK_EVERY)  # so that the worker looks at the topic before its next batch: sooner nothing is promised
    new = {f"new-{number}" for number in range(2000)}
    write(stack, topics.input, [post(post_id) for post_id in new])

    wait_until(lambda: new <= set(labelled(stack, topics)), what="every post of the new topic")
    assert [post_id for post_id, times in Counter(labelled(stack, topics)).items() if times > 1] == []
    assert "recreated" in worker.output
    assert worker.end() == 0, worker.output


def test_a_record_that_cannot_be_read_ends_the_worker_with_its_place_and_does_not_hang(
    stack: Stack, topics: Topics, run_cli: RunCli
) -> None:
    write(stack, topics.input, [post("good")])
    write_unreadable(stack, topics.input)

    ended = run_cli("tests.light", *ONCE, env=topics.environment)

    assert ended.returncode == 1
    line = ended.stderr.strip().splitlines()[-1]
    assert "cannot be read at or after one of the offsets" in line
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("codec", ["gzip", "lz4", "snappy", "zstd"])
def test_an_input_of_any_codec_is_read(stack: Stack, topics: Topics, run_cli: RunCli, codec: str) -> None:
    with closing(KafkaProducer(bootstrap_servers=stack.broker.address, compression_type=codec)) as producer:
        for number in range(10):
            key, value, headers = post(str(number), caption="green " * 50)
            producer.send(topics.input, value, key, headers, partition=number % 2)
        producer.flush(30)

    label(run_cli, topics)

    assert labelled(stack, topics) == ids(10)


def test_a_partition_that_gives_nothing_is_shown_and_rejoined_and_its_posts_come_out_in_the_end(
    stack: Stack, topics: Topics, start_cli: StartCli
) -> None:
    key, value, headers = post("held back")
    with closing(
        KafkaProducer(bootstrap_servers=stack.broker.address, transactional_id=f"open-{topics.input}")
    ) as producer:
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(topics.input, value, key, headers, partition=1).get(30)
        worker = start_cli("tests.light", *ONCE[1:], "--stuck-after", "1", env=topics.environment)

        worker.wait_for_output("cause=stuck")
        write(stack, topics.input, [post("free")])
        wait_until(lambda: labelled(stack, topics) == ["free"], what="the post of the other partition")
        producer.commit_transaction()

    wait_until(lambda: labelled(stack, topics) == ["free", "held back"], what="the post held back")
    assert f"nothing comes from {topics.input}/1" in worker.output
    assert worker.end() == 0, worker.output
