"""Which dead letters were replayed: one receipt each, written in the transaction that replays it, and never deleted.

Why not offsets of a consumer group: a replay may choose, so what is done is no prefix of the topic; and a broker
forgets them after a week (consumer/kafka/README.md, fact 37). They lie in a topic of their own, so that the dead-letter
topic holds dead letters only.
"""

import contextlib
from typing import Any

from kafka.errors import TopicAlreadyExistsError
from pydantic import BaseModel, ConfigDict, ValidationError

from consumer.dead_letters.letter import CLIENT_ID
from consumer.kafka.offsets import ends_of, is_same_topic
from consumer.kafka.read_to_end import read_whole
from producer.base.errors import CommandError
from producer.base.settings import TopicSettings
from producer.topics import Topic


class Receipt(BaseModel):
    """That one dead letter was replayed.

    Attributes:
        topic_id: the dead-letter topic's: a recreated topic has other dead letters at the same offsets.
        partition: of the dead letter.
        offset: of the dead letter.
    """

    model_config = ConfigDict(frozen=True)

    topic_id: str
    partition: int
    offset: int

    def to_record(self) -> tuple[bytes, bytes]:
        """Key and value."""
        return f"{self.topic_id}/{self.partition}/{self.offset}".encode(), self.model_dump_json().encode()


def topic_of(settings: TopicSettings) -> str:
    """The topic of the receipts: ``posts-dlt-replayed``."""
    return f"{settings.dead_letter_topic}-replayed"


def create(admin: Any, name: str, dead_letters: Topic) -> None:
    """Create the topic of the receipts, as durable as the dead letters themselves.

    Raises:
        KafkaError: the broker does not answer, or refuses.
    """
    copied = {key: value for key, value in dead_letters.config.items() if key == "min.insync.replicas"}
    with contextlib.suppress(TopicAlreadyExistsError):  # another replay was faster: as good
        admin.create_topics(
            {
                name: {
                    "num_partitions": 1,
                    "replication_factor": dead_letters.replication_factor,
                    "configs": copied | {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"},
                }
            }
        )
    admin.wait_for_topics([name])


def check(admin: Any, topic: Topic) -> None:
    """Make sure that no receipt was or will be deleted.

    Raises:
        CommandError: one was or will be; its dead letter would be replayed again.
        KafkaError: the broker does not answer.
    """
    if "delete" in topic.config.get("cleanup.policy", "") and topic.config.get("retention.ms") != "-1":
        raise CommandError(
            f"topic {topic.name} deletes its records after a time, so dead letters would be replayed twice: "
            "set its retention.ms to -1 (kafka-configs --alter)"
        )
    if any(ends_of(admin, topic.name).earliest.values()):
        raise CommandError(
            f"topic {topic.name} has lost records, so it is not known which dead letters were replayed: "
            "delete it to replay all of them again"
        )


def read(settings: TopicSettings, admin: Any, topic_id: str) -> set[tuple[int, int]]:
    """Partition and offset of every dead letter that was replayed.

    Args:
        settings: where the broker is.
        admin: a connected `KafkaAdminClient`.
        topic_id: the dead-letter topic's.

    Raises:
        CommandError: a record of the topic is no receipt.
        KafkaError: the broker was lost.
    """
    found = set()
    for record in read_whole(settings, CLIENT_ID, admin, topic_of(settings), "reading receipts"):
        try:
            receipt = Receipt.model_validate_json(record.value or b"")
        except ValidationError:
            raise CommandError(
                f"{record.topic}/{record.partition} offset {record.offset} is no receipt of a replay: "
                "does another program write there?"
            ) from None
        if is_same_topic(receipt.topic_id, topic_id):
            found.add((receipt.partition, receipt.offset))
    return found
