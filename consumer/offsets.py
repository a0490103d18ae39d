"""Where a topic's partitions begin and end, asked so that no open transaction hides anything."""

from dataclasses import dataclass

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec

ROUND_TRIP_MS = 5_000


@dataclass(frozen=True, slots=True)
class Ends:
    """First offset and next offset of each partition."""

    earliest: dict[TopicPartition, int]
    latest: dict[TopicPartition, int]


def ends_of(admin: KafkaAdminClient, topic: str) -> Ends:
    """The ends of every partition of a topic.

    The ends of a read_committed consumer are the last *stable* offsets: one open transaction of a dead worker
    hides committed records behind it. These are read_uncommitted.

    Raises:
        KafkaError: the broker did not answer, or has no such topic.
    """
    (described,) = admin.describe_topics([topic])
    partitions = [TopicPartition(topic, partition["partition_index"]) for partition in described["partitions"]]
    earliest = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST), timeout_ms=ROUND_TRIP_MS)
    latest = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST), timeout_ms=ROUND_TRIP_MS)
    return Ends(
        {partition: found.offset for partition, found in earliest.items()},
        {partition: found.offset for partition, found in latest.items()},
    )
