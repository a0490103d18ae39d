"""The broker forgets what was committed: a new worker goes on after what came out, and nothing comes out twice."""

import time
from contextlib import closing

import pytest
from kafka import KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.admin import KafkaAdminClient

from deploy.local.stack import Stack
from tests.conftest import RunCli, Topics
from tests.integration.consumer.label.conftest import came_out, ids, label
from tests.wire import configure, post, recreate, write

BAD = (b"bad", b"not a picture", [("city", b"london")])


@pytest.mark.parametrize("left", [3, None])
def test_what_the_broker_forgot_is_not_labelled_twice(
    stack: Stack, topics: Topics, run_cli: RunCli, admin: KafkaAdminClient, left: int | None
) -> None:
    last = (b"39", *BAD[1:])  # in partition 1: a dead letter stands behind its last label
    write(stack, topics.input, [*(post(str(number)) for number in range(39)), last])
    label(run_cli, topics)
    partitions = [TopicPartition(topics.input, number) for number in (0, 1)]
    if left is None:
        admin.delete_group_offsets(topics.input, partitions)
    else:
        (committed, _) = (admin.list_group_offsets(topics.input)[topics.input][each] for each in partitions)
        admin.alter_group_offsets(
            topics.input, {each: OffsetAndMetadata(left, committed.metadata, -1) for each in partitions}
        )
    write(stack, topics.input, [post(str(number)) for number in range(40, 60)])

    again = label(run_cli, topics)
    third = label(run_cli, topics)

    assert came_out(stack, topics) == ids(60)
    assert f"partition=1 committed={left or 0} going_on_at=20" in again
    assert again.count("the committed offset went back") == 2
    assert "went back" not in third


def test_nothing_is_labelled_twice_where_senders_are_an_hour_ahead_and_date_their_posts(
    stack: Stack, topics: Topics, run_cli: RunCli, admin: KafkaAdminClient
) -> None:
    configure(stack, topics.input, message_timestamp_type="CreateTime")
    write(stack, topics.input, [post(str(number)) for number in range(20)], dated_ms=int(time.time() + 3500) * 1000)
    label(run_cli, topics)
    admin.delete_group_offsets(topics.input, [TopicPartition(topics.input, number) for number in (0, 1)])

    again = label(run_cli, topics)

    assert came_out(stack, topics) == ids(20)
    assert again.count("the committed offset went back") == 2


def test_another_group_labels_everything_again(stack: Stack, topics: Topics, run_cli: RunCli) -> None:
    write(stack, topics.input, [post("good"), BAD])
    label(run_cli, topics)

    label(run_cli, topics, "--group-id", f"another-{topics.input}")

    assert came_out(stack, topics) == ["bad", "bad", "good", "good"]


def test_the_same_posts_in_a_recreated_topic_are_labelled_again(
    stack: Stack, topics: Topics, run_cli: RunCli, admin: KafkaAdminClient
) -> None:
    posts = [*(post(str(number)) for number in range(10)), BAD]
    write(stack, topics.input, posts)
    label(run_cli, topics)
    recreate(admin, topics.input)  # and the broker forgets the group's offsets with the old one
    write(stack, topics.input, posts)

    label(run_cli, topics)

    assert came_out(stack, topics) == sorted([*ids(10), "bad"] * 2)


def test_what_is_aborted_does_not_hide_what_came_out_before(
    stack: Stack, topics: Topics, run_cli: RunCli, admin: KafkaAdminClient
) -> None:
    write(stack, topics.input, [post(str(number)) for number in range(10)])
    label(run_cli, topics)
    name = f"other-{topics.input}"
    with closing(KafkaProducer(bootstrap_servers=stack.broker.address, transactional_id=name)) as producer:
        producer.init_transactions()
        for _ in range(20):
            producer.begin_transaction()
            producer.send(topics.output, b"{}", b"aborted", partition=0).get(30)
            producer.abort_transaction()
    admin.delete_group_offsets(topics.input, [TopicPartition(topics.input, 0)])

    assert "going_on_at=5" in label(run_cli, topics)
    assert came_out(stack, topics) == ids(10)
