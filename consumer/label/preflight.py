"""What is checked before `label` joins its group: the topics fit together, and no living worker has the same name."""

import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient
from kafka.errors import UnsupportedVersionError
from kafka.protocol.producer import TxnOffsetCommitRequest

from consumer.label.settings import WorkerSettings
from producer.base.connect import connect
from producer.base.errors import CommandError
from producer.base.logs import event
from producer.topics import (
    COMPRESSION,
    DEAD_LETTER_MARGIN,
    DEFAULT_MAX_REQUEST_SIZE,
    LABEL_LIMIT,
    admin_client,
    check_outputs,
    describe,
)

log = logging.getLogger(__name__)

FENCES = 3
"""The version of TxnOffsetCommit from which on it carries the group's generation (KIP-447)."""


@dataclass(frozen=True, slots=True)
class Topics:
    """What the worker needs to know of its topics.

    Attributes:
        partitions: of the input.
        output_limit: ``max.message.bytes`` of the labelled posts.
        dead_letter_limit: ``max.message.bytes`` of the dead letters.
        vectors_limit: ``max.message.bytes`` of the vectors.
        input_limit: ``max.message.bytes`` of the input.
    """

    partitions: int
    output_limit: int
    dead_letter_limit: int
    vectors_limit: int = LABEL_LIMIT
    input_limit: int = DEFAULT_MAX_REQUEST_SIZE

    @property
    def largest_limit(self) -> int:
        """The largest limit of an output, in bytes."""
        return max(self.output_limit, self.dead_letter_limit, self.vectors_limit)


def check_topics(settings: WorkerSettings) -> Topics:
    """Make sure that whatever the input holds fits into the outputs.

    Raises:
        CommandError: one line: no broker, a topic that does not exist, or topics that do not fit together.
    """
    names = [settings.input_topic, settings.output_topic, settings.dead_letter_topic]
    if settings.vectors_output:
        names.append(settings.vectors_output)
    with admin_client(settings) as admin:
        check_fencing(settings, admin)
        found = describe(admin, names)
    for name in names:
        if name not in found:
            raise CommandError(
                f"topic {name} does not exist at {settings.bootstrap_servers}; "
                "`python -m producer topics` creates the topics"
            )
    posts, labels, dead_letters, *vectors = (found[name] for name in names)
    check_outputs(posts, dead_letters, [labels, *vectors])
    if posts.is_recompressed:
        event(
            log,
            logging.WARNING,
            "the broker unpacks what senders pack, and a small batch may take all its memory: "
            f"set compression.type to {COMPRESSION}",
            topic=posts.name,
            compression_type=posts.config["compression.type"],
        )
    return Topics(
        posts.partitions,
        labels.max_record_bytes or LABEL_LIMIT,
        dead_letters.max_record_bytes or DEFAULT_MAX_REQUEST_SIZE + DEAD_LETTER_MARGIN,
        min((topic.max_record_bytes or LABEL_LIMIT for topic in vectors), default=LABEL_LIMIT),
        posts.max_record_bytes or DEFAULT_MAX_REQUEST_SIZE,
    )


def check_fencing(settings: WorkerSettings, admin: Any) -> None:
    """Make sure that the broker refuses offsets of a worker that has lost its partitions.

    Raises:
        CommandError: it would commit them, and posts could come out twice.
    """
    with suppress(UnsupportedVersionError):
        if admin._manager.broker_version_data.api_version(TxnOffsetCommitRequest) >= FENCES:
            return
    raise CommandError(
        f"the broker at {settings.bootstrap_servers} does not fence a worker that has lost its partitions, as "
        "Apache Kafka does from 2.5 on: posts could come out twice (deploy/BROKERS.md)"
    )


def check_replica(settings: WorkerSettings) -> None:
    """Make sure that no living worker of the group has this one's name.

    A dead one is listed until its session times out, so that long is waited for it to go.

    Raises:
        CommandError: the name is in use.
    """

    def taken(admin: KafkaAdminClient) -> bool:
        group = admin.describe_groups([settings.group_id])[settings.group_id]
        return any(member["client_id"] == settings.member for member in group["members"])

    def ask() -> bool:
        deadline = time.monotonic() + settings.session_timeout + 3
        said = False
        with admin_client(settings) as admin:
            while taken(admin):
                if time.monotonic() > deadline:
                    return True
                if not said:
                    event(
                        log,
                        logging.INFO,
                        "a worker of this name is in the group; waiting whether it is dead",
                        replica=settings.replica,
                        group=settings.group_id,
                        seconds=settings.session_timeout,
                    )
                    said = True
                time.sleep(0.5)
        return False

    if connect(settings, ask):
        raise CommandError(
            f"a living worker of group {settings.group_id} uses replica {settings.replica}: "
            "give this one another name with --replica"
        )
