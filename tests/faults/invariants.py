"""What must hold after every fault: each post came out once, labelled or dead, in its own partition, and is counted.

Where there is a topic for them, the vectors of a labelled one came out as well, once.
"""

from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from threading import Event
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from consumer.count.count import HEALTH_LIMIT, count
from consumer.count.counters import tally
from consumer.count.read import Reader
from consumer.count.settings import CountSettings
from consumer.count.snapshot import Counters
from consumer.count.store import Store
from consumer.count.verify import differences
from consumer.count.zones import load_zones
from consumer.dead_letter import REASON
from consumer.encoded_post import EncodedPost
from consumer.health import Health
from consumer.kafka.offsets import ends_of
from consumer.labeled_post import LabeledPost
from consumer.metrics import CountMetrics
from deploy.local.stack import Stack
from tests.conftest import Topics
from tests.faults.feed import LAST, Feed
from tests.wire import read_all


def behind(stack: Stack, topics: Topics, group: str) -> int | None:
    """Records of the input that the group has not committed; None when the broker does not say now."""
    try:
        with closing(KafkaAdminClient(bootstrap_servers=stack.broker.address, request_timeout_ms=5_000)) as admin:
            committed = admin.list_group_offsets([group])[group]
            latest = ends_of(admin, topics.input).latest
    except KafkaError:  # no coordinator yet, or a broker that has just begun: look again
        return None
    return sum(
        end - (committed[partition].offset if partition in committed else 0) for partition, end in latest.items()
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the posts of a feed, as a `read_committed` reader sees it."""

    input: list[Any]
    labels: list[Any]
    dead: list[Any]
    vectors: list[Any] | None  # where there is a topic for them
    doubled: dict[str, int]  # post_id -> how often it came out
    missing: set[str]


def came_out(stack: Stack, topics: Topics, feed: Feed, timeout: float = 30) -> Outcome:
    """Read all topics; each may take so many seconds."""
    arrived, labels, dead, *vectors = (
        read_all(stack, topic, timeout=timeout) for topic in (topics.input, *outputs(topics))
    )
    out = Counter(ids(labels) + ids(dead))
    doubled = {post_id: times for post_id, times in out.items() if times > 1}
    print(f"posts {len(feed.sent)}, labels {len(labels)}, dead letters {len(dead)}")
    return Outcome(arrived, labels, dead, vectors[0] if vectors else None, doubled, feed.sent.keys() - out.keys())


def assert_exactly_once(stack: Stack, topics: Topics, feed: Feed) -> Outcome:
    """ids(labels) + ids(dead letters) = ids(input), each once, with the same partition number; the dead are the poison.

    All read as `read_committed`. The group has committed everything: see `Pool.settle`.
    """
    out = came_out(stack, topics, feed)
    assert_each_once(out, feed)
    return out


def assert_each_once(out: Outcome, feed: Feed) -> None:
    """The same, of what was read."""
    assert Counter(ids(out.input)) == dict.fromkeys(feed.sent, 1), "the load itself is not what it should be"
    assert not out.doubled, f"{len(out.doubled)} came out more than once: {dict(sorted(out.doubled.items())[:10])}"
    assert not out.missing, f"{len(out.missing)} are missing: {sorted(out.missing)[:10]}"
    assert {key(record): record.partition for record in [*out.labels, *out.dead]} == feed.sent
    assert set(ids(out.dead)) == feed.poison
    assert LAST in ids(out.labels)
    for record in out.labels:
        assert LabeledPost.model_validate_json(record.value).post_id == key(record)
    assert all(REASON in dict(record.headers) for record in out.dead)
    if out.vectors is not None:
        assert_have_vectors(out.labels, out.vectors)


def assert_have_vectors(labels: list[Any], vectors: list[Any]) -> None:
    """Each labelled post has its vectors once, with its label's partition number, and no other has any."""
    sources = [LabeledPost.from_record(record).source for record in labels]
    assert Counter(EncodedPost.from_record(record).source for record in vectors) == dict.fromkeys(sources, 1)
    assert {key(record): record.partition for record in vectors} == {key(record): record.partition for record in labels}


def outputs(topics: Topics) -> tuple[str, ...]:
    """Of labels, dead letters and, where there is one, vectors."""
    both = topics.output, topics.dead_letter
    return (*both, topics.vectors) if topics.vectors else both


def assert_counters_equal_a_recount(stack: Stack, topics: Topics, redis_url: str, labels: list[Any]) -> None:
    """What `count` makes of the labelled topic is what these labels add up to: all that a reader sees of it."""
    settings = CountSettings.model_validate(
        {
            "bootstrap_servers": stack.broker.address,
            "output_topic": topics.output,
            "redis_url": redis_url,
            "counter_prefix": f"{{{topics.output}}}",
        }
    )
    zones, metrics = load_zones(settings.cities_file), CountMetrics(CollectorRegistry())
    with closing(settings.redis_client()) as client, closing(Reader(settings, metrics)) as reader:
        reader.stop_at(reader.ends()[1])
        store = Store(client, settings.counter_prefix, topics.output, reader.topic_id)
        assert count(reader, store, zones, metrics, Health(HEALTH_LIMIT), Event()) == len(labels)
        counters = Counters.read(client, settings.counter_prefix)
    posts = [LabeledPost.model_validate_json(label.value) for label in labels]
    assert differences(counters.hashes(), tally(posts, zones).hashes()) == []


def aborted(stack: Stack, topics: Topics) -> int:
    """Records in the outputs that no reader of committed ones ever sees: transactions that did not end well."""
    both = [sum(len(read_all(stack, topic, level)) for topic in outputs(topics)) for level in LEVELS]
    return both[0] - both[1]


LEVELS = ("read_uncommitted", "read_committed")


def ends(stack: Stack, topic: str, level: str) -> dict[int, int]:
    """Partition -> next offset that a reader of this isolation level sees."""
    with closing(
        KafkaConsumer(bootstrap_servers=stack.broker.address, isolation_level=level, enable_auto_commit=False)
    ) as consumer:
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
        return {partition.partition: end for partition, end in consumer.end_offsets(partitions).items()}


def is_settled(stack: Stack, topics: Topics) -> bool:
    """Whether every transaction on the outputs has ended, so that nothing of them is hidden."""
    return all(ends(stack, topic, LEVELS[0]) == ends(stack, topic, LEVELS[1]) for topic in outputs(topics))


def members(stack: Stack, group: str) -> set[str]:
    """Client ids of the group's members, the dead ones whose session still runs included."""
    with closing(KafkaAdminClient(bootstrap_servers=stack.broker.address)) as admin:
        return {member["client_id"] for member in admin.describe_groups([group])[group]["members"]}


def key(record: Any) -> str:
    return str(record.key.decode())


def ids(records: list[Any]) -> list[str]:
    return [key(record) for record in records]
