"""Creates the topics, and says where existing ones differ. It changes and deletes nothing that exists."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kafka.admin import ConfigResource, KafkaAdminClient
from kafka.errors import (
    KafkaError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)
from pydantic import Field

from producer.base.connect import connect
from producer.base.errors import CommandError
from producer.base.settings import KafkaSettings, VectorsTopicSettings, load

log = logging.getLogger(__name__)

DEAD_LETTER_MARGIN = 64 * 1024
"""How much larger than its post a dead letter may be, in bytes: the headers that say what was wrong."""

LABEL_LIMIT = 1024 * 1024
"""Record limit of the topics of labels and vectors, in bytes: Kafka's own default."""

LABEL_NEEDS = 64 * 1024
"""Below this record limit, in bytes, a label, or a post's vectors, may not fit."""

COMPRESSION = "producer"
"""The input's ``compression.type``: batches stay as their senders packed them. With any other one a small batch can end
the broker (consumer/kafka/README.md, fact 24); workers unpack batches as a stream."""

WEEK_MS = 7 * 24 * 3600 * 1000

DEFAULT_MAX_REQUEST_SIZE = 16 * 1024 * 1024

LARGEST_MAX_REQUEST_SIZE = 90_000_000


class CreateSettings(VectorsTopicSettings):
    """Settings of ``topics``."""

    partitions: int = Field(6, ge=1, le=10_000, description="partitions of each topic")
    replication_factor: int = Field(1, ge=1, le=32, description="copies of each partition")
    max_request_size: int = Field(
        DEFAULT_MAX_REQUEST_SIZE,
        ge=LABEL_NEEDS,
        le=LARGEST_MAX_REQUEST_SIZE,
        description="largest record of the input topic, bytes",
    )


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic, wanted or found: its configs are those that matter here."""

    name: str
    partitions: int
    replication_factor: int
    config: dict[str, str] = field(default_factory=dict)

    @property
    def max_record_bytes(self) -> int | None:
        """Its record limit; None where the broker does not say."""
        limit = self.config.get("max.message.bytes")
        return None if limit is None else int(limit)

    @property
    def is_recompressed(self) -> bool:
        """Whether the broker unpacks what comes; not where it does not say. See `COMPRESSION`."""
        return self.config.get("compression.type", COMPRESSION) != COMPRESSION


def main(argv: Sequence[str]) -> int:
    """``topics``: one line per topic."""
    settings = load(CreateSettings, "python -m producer topics", argv)
    for line in create_topics(settings):
        print(line)
    return 0


def create_topics(settings: CreateSettings) -> list[str]:
    """Create the topics that do not exist; leave those that do.

    Returns:
        One line per topic: created or exists, and how an existing one differs from what would be created.

    Raises:
        CommandError: no broker, the broker refuses, or an existing topic does not fit the input topic. Then
            nothing is created.
    """
    with admin_client(settings) as admin:
        names = [settings.input_topic, settings.output_topic, settings.dead_letter_topic, settings.vectors_topic]
        found = describe(admin, [name for name in names if name])
        wanted = _wanted(settings, found.get(settings.input_topic))
        posts, labels, dead_letters, *vectors = (found.get(topic.name, topic) for topic in wanted)
        check_outputs(posts, dead_letters, [labels, *vectors])
        created = _create(admin, [topic for topic in wanted if topic.name not in found])
        return [_line(topic, found.get(topic.name), topic.name in created) for topic in wanted]


def admin_client(settings: KafkaSettings, **further: Any) -> Any:
    """A `KafkaAdminClient`, connected: a context manager.

    Args:
        settings: of the broker.
        further: more of kafka-python's options.

    Raises:
        CommandError: the broker cannot be reached, or refuses.
    """
    return connect(settings, lambda: KafkaAdminClient(**settings.kafka(), **further))


def describe(admin: Any, names: Sequence[str]) -> dict[str, Topic]:
    """The topics of these names that exist, by name; none is created.

    Raises:
        CommandError: the broker refuses.
    """
    try:
        described = {topic["name"]: topic for topic in admin.describe_topics(list(names))}
        found = {name: topic["partitions"] for name, topic in described.items() if topic["error_code"] == 0}
        for name, topic in described.items():
            if topic["error_code"] == TopicAuthorizationFailedError.errno:
                raise CommandError(f"topic {name}: not even DESCRIBE is allowed (TopicAuthorizationFailedError)")
            if topic["error_code"] not in (0, UnknownTopicOrPartitionError.errno):
                raise CommandError(f"topic {name}: {for_code(topic['error_code']).__name__}")
        resources = [ConfigResource("TOPIC", name) for name in found]
        configs = admin.describe_configs(resources, config_filter="all")["topic"] if resources else {}
    except KafkaError as error:
        raise CommandError(f"the topics cannot be looked at: {error}") from None
    for name in found:
        if not configs.get(name):
            log.warning("topic %s: DESCRIBE_CONFIGS is not allowed, so its limits are not known and not checked", name)
    return {
        name: Topic(
            name,
            len(partitions),
            len(partitions[0]["replica_nodes"]) if partitions else 0,
            {key: entry["value"] for key, entry in configs.get(name, {}).items() if entry["value"] is not None},
        )
        for name, partitions in found.items()
    }


def _wanted(settings: CreateSettings, existing_input: Topic | None) -> list[Topic]:
    """The topics as they would be created: posts, labels, dead letters and, where there is one, that of the vectors.

    The outputs follow an input topic that exists already.
    """
    copies = settings.replication_factor
    common = {"cleanup.policy": "delete"} | ({"min.insync.replicas": "2"} if copies >= 3 else {})
    posts = Topic(
        settings.input_topic,
        settings.partitions,
        copies,
        common
        | {
            "compression.type": COMPRESSION,
            "message.timestamp.type": "LogAppendTime",
            "retention.ms": str(WEEK_MS),
            "max.message.bytes": str(settings.max_request_size),
        },
    )
    partitions = max(settings.partitions, existing_input.partitions if existing_input else 0)
    largest = max(settings.max_request_size, (existing_input and existing_input.max_record_bytes) or 0)
    keep = common | {"retention.ms": "-1"}
    limits = {settings.output_topic: LABEL_LIMIT, settings.dead_letter_topic: largest + DEAD_LETTER_MARGIN}
    if settings.vectors_topic:
        limits[settings.vectors_topic] = LABEL_LIMIT
    outputs = (Topic(name, partitions, copies, keep | {"max.message.bytes": str(limits[name])}) for name in limits)
    return [posts, *outputs]


def check_outputs(posts: Topic, dead_letters: Topic, labels: Iterable[Topic]) -> None:
    """Make sure that the outputs fit the input: what is made of a post goes to its partition number.

    Args:
        posts: the input.
        dead_letters: takes what the input takes.
        labels: take labels, or vectors.

    Raises:
        CommandError: an output has fewer partitions than the input, or a smaller record limit than it needs.
    """
    needs = [(topic, LABEL_NEEDS) for topic in labels]
    for topic, needed in [*needs, (dead_letters, (posts.max_record_bytes or 0) + DEAD_LETTER_MARGIN)]:
        if topic.partitions < posts.partitions:
            raise CommandError(
                f"topic {topic.name} has {topic.partitions} partitions, {posts.name} {posts.partitions}: "
                f"add partitions to {topic.name} (kafka-topics --alter), it needs at least as many"
            )
        if topic.max_record_bytes is not None and topic.max_record_bytes < needed:
            raise CommandError(
                f"topic {topic.name} takes records of {topic.max_record_bytes} bytes (max.message.bytes), "
                f"but needs {needed}: the limit of {posts.name} is {posts.max_record_bytes}"
            )


def _create(admin: Any, topics: Iterable[Topic]) -> set[str]:
    """Create the topics and wait until they have leaders; the names of those that did not exist after all."""
    wanted = {
        topic.name: {
            "num_partitions": topic.partitions,
            "replication_factor": topic.replication_factor,
            "configs": topic.config,
        }
        for topic in topics
    }
    if not wanted:
        return set()
    created = set()
    try:
        for answer in admin.create_topics(wanted, raise_errors=False)["topics"]:
            error = for_code(answer["error_code"])
            if answer["error_code"] == 0:
                created.add(answer["name"])
            elif error is not TopicAlreadyExistsError:  # someone else was faster: as good
                raise CommandError(
                    f"topic {answer['name']} cannot be created: {answer['error_message'] or error.__name__}"
                )
        admin.wait_for_topics(list(wanted))
    except KafkaError as error:
        raise CommandError(f"the topics cannot be created: {error}") from None
    return created


def _line(wanted: Topic, found: Topic | None, created: bool) -> str:
    if created:
        config = ", ".join(f"{key}={value}" for key, value in wanted.config.items())
        return (
            f"{wanted.name}: created, partitions={wanted.partitions}, replication={wanted.replication_factor}, {config}"
        )
    differences = _differences(wanted, found) if found else []
    return f"{wanted.name}: exists" + (f"; it differs: {', '.join(differences)}" if differences else "")


def _differences(wanted: Topic, found: Topic) -> list[str]:
    sizes = [
        f"{found_size} {what} instead of {wanted_size}"
        for what, found_size, wanted_size in (
            ("partitions", found.partitions, wanted.partitions),
            ("replicas", found.replication_factor, wanted.replication_factor),
        )
        if found_size != wanted_size
    ]
    return sizes + [
        f"{key}={found.config[key]} instead of {value}"
        for key, value in wanted.config.items()
        if key in found.config and found.config[key] != value
    ]
