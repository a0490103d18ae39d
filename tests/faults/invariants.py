"""What must hold after every fault: each post came out once, labelled or dead, in its own partition."""

from collections import Counter
from contextlib import closing
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from consumer.dead_letter import REASON
from consumer.labeled_post import LabeledPost
from consumer.offsets import ends_of
from deploy.local.stack import Stack
from tests.conftest import Topics
from tests.faults.feed import LAST, Feed
from tests.wire import read_all


def is_all_committed(stack: Stack, topics: Topics, group: str) -> bool:
    """Whether the group has committed everything that the input holds now."""
    try:
        with closing(KafkaAdminClient(bootstrap_servers=stack.broker.address, request_timeout_ms=5_000)) as admin:
            committed = admin.list_group_offsets([group])[group]
            latest = ends_of(admin, topics.input).latest
    except KafkaError:  # no coordinator yet, or a broker that has just begun: look again
        return False
    return all(partition in committed and committed[partition].offset >= end for partition, end in latest.items())


def assert_exactly_once(stack: Stack, topics: Topics, feed: Feed) -> None:
    """ids(labels) + ids(dead letters) = ids(input), each once, with the same partition number; the dead are the poison.

    All read as `read_committed`. The group has committed everything: see `is_all_committed`.
    """
    arrived = read_all(stack, topics.input)
    assert Counter(ids(arrived)) == dict.fromkeys(feed.sent, 1), "the load itself is not what it should be"
    labels = read_all(stack, topics.output)
    dead = read_all(stack, topics.dead_letter)
    out = Counter(ids(labels) + ids(dead))
    doubled = {post_id: times for post_id, times in out.items() if times > 1}
    missing = feed.sent.keys() - out.keys()
    print(f"posts {len(feed.sent)}, labels {len(labels)}, dead letters {len(dead)}")
    assert not doubled, f"{len(doubled)} came out more than once: {dict(sorted(doubled.items())[:10])}"
    assert not missing, f"{len(missing)} are missing: {sorted(missing)[:10]}"
    assert out.keys() == feed.sent.keys()
    assert {key(record): record.partition for record in [*labels, *dead]} == feed.sent
    assert set(ids(dead)) == feed.poison
    assert LAST in ids(labels)
    for record in labels:
        assert LabeledPost.model_validate_json(record.value).post_id == key(record)
    assert all(REASON in dict(record.headers) for record in dead)


def aborted(stack: Stack, topics: Topics) -> int:
    """Records in the outputs that no reader of committed ones ever sees: transactions that did not end well."""
    outputs = (topics.output, topics.dead_letter)
    both = [sum(len(read_all(stack, topic, level)) for topic in outputs) for level in LEVELS]
    return both[0] - both[1]


LEVELS = ("read_uncommitted", "read_committed")


def ends(stack: Stack, topic: str, level: str) -> dict[int, int]:
    """Partition -> next offset that a reader of this isolation level sees."""
    with closing(
        KafkaConsumer(bootstrap_servers=stack.broker.address, isolation_level=level, enable_auto_commit=False)
    ) as consumer:
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
        return {partition.partition: end for partition, end in consumer.end_offsets(partitions).items()}


def members(stack: Stack, group: str) -> set[str]:
    """Client ids of the group's members, the dead ones whose session still runs included."""
    with closing(KafkaAdminClient(bootstrap_servers=stack.broker.address)) as admin:
        return {member["client_id"] for member in admin.describe_groups([group])[group]["members"]}


def key(record: Any) -> str:
    return str(record.key.decode())


def ids(records: list[Any]) -> list[str]:
    return [key(record) for record in records]
