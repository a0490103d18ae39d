"""Which topic a name means now, and where its partitions begin and end; no open transaction hides anything."""

import logging
import struct
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from uuid import UUID

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import for_code

from consumer.moment import milliseconds
from producer.base.fetch import fetch_batches
from producer.base.logs import event

log = logging.getLogger(__name__)

ROUND_TRIP_MS = 5_000
"""How long one question to the broker may take, in milliseconds."""


@dataclass(frozen=True, slots=True)
class Ends:
    """First offset and next offset of each partition."""

    earliest: dict[TopicPartition, int]
    latest: dict[TopicPartition, int]


def look_up(admin: KafkaAdminClient, topic: str) -> tuple[str, list[TopicPartition]]:
    """The topic's id, which a topic recreated under the same name does not share, and its partitions.

    Empty: the broker gives topics none.

    Raises:
        KafkaError: the broker did not answer, or has no such topic.
    """
    (described,) = admin.describe_topics([topic])
    if described["error_code"]:
        raise for_code(described["error_code"])(f"topic {topic}")
    found = described.get("topic_id")  # no such field before version 10 of the answer
    topic_id = str(found) if found and found != UUID(int=0) else ""
    if not topic_id:
        _say_that_topics_have_no_ids()
    return topic_id, [TopicPartition(topic, each["partition_index"]) for each in described["partitions"]]


def is_same_topic(one: str, other: str) -> bool:
    """Whether two topic ids may be of the same topic; an empty one says nothing."""
    return not (one and other) or one == other


@cache
def _say_that_topics_have_no_ids() -> None:
    event(
        log,
        logging.WARNING,
        "the broker gives topics no ids: one that is deleted and recreated under its name is not noticed "
        "(deploy/BROKERS.md)",
    )


def topic_id_of(admin: KafkaAdminClient, topic: str) -> str:
    """The topic's id alone; raises as `look_up` does."""
    return look_up(admin, topic)[0]


def ends_of(admin: KafkaAdminClient, topic: str) -> Ends:
    """The ends of every partition of a topic.

    They are read_uncommitted: an open transaction hides what lies behind it from the ends of a read_committed consumer
    (consumer/kafka/README.md, fact 10).

    Raises:
        KafkaError: the broker did not answer, or has no such topic.
    """
    _, partitions = look_up(admin, topic)
    earliest = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST), timeout_ms=ROUND_TRIP_MS)
    latest = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST), timeout_ms=ROUND_TRIP_MS)
    return Ends(
        {partition: found.offset for partition, found in earliest.items()},
        {partition: found.offset for partition, found in latest.items()},
    )


def starts_at(admin: KafkaAdminClient, ends: Ends, moment: datetime) -> dict[TopicPartition, int]:
    """The first offset of each partition whose record is not older; the end where all are.

    Later ones may be: times of writing need not grow with the offsets. Only for topics that we write ourselves
    (consumer/kafka/README.md, fact 27).

    Args:
        admin: asks the broker.
        ends: of the topic.
        moment: with an offset.

    Raises:
        KafkaError: the broker did not answer.
    """
    found = admin.list_partition_offsets(dict.fromkeys(ends.latest, milliseconds(moment)), timeout_ms=ROUND_TRIP_MS)
    return {
        partition: min(first.offset, end) if (first := found[partition]).offset >= 0 else end
        for partition, end in ends.latest.items()
    }


HEADER = struct.Struct(">qiibIhiqq")
"""How a batch of records begins: offset, length, leader's epoch, magic, checksum, attributes, last offset, and its
first and its last timestamp in ms since 1970."""
BY_THE_BROKER = 0x08
"""The attribute of a batch whose timestamp is when it entered the log, by its broker's clock."""


def append_time(admin: KafkaAdminClient, partition: TopicPartition, offset: int) -> float | None:
    """When the record at an offset, or the first one after it, entered the log.

    The broker sends its batch as it lies in the log, and of that nothing but the header is read. To ask for the offset
    of a timestamp would send less, but could end the broker (consumer/kafka/README.md, fact 27).

    Returns:
        Seconds since 1970; None where the broker did not put it down, or where there is no such record.

    Raises:
        KafkaError: the broker did not answer, or refused.
    """
    fetched = fetch_batches(admin, partition, offset)
    if len(fetched) < HEADER.size:
        return None
    *_, magic, _, attributes, _, _, last = HEADER.unpack_from(fetched)
    return last / 1000 if magic >= 2 and attributes & BY_THE_BROKER else None
