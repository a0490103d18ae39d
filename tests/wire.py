"""Reading and writing topics in tests."""

import io
from collections.abc import Iterable
from contextlib import closing, suppress
from typing import Any
from unittest import mock

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, KafkaAdminClient
from kafka.errors import MetadataEmptyBrokerList
from PIL import Image

from deploy.local.stack import Stack
from tests.conftest import PATIENCE, wait_until


def read_all(stack: Stack, topic: str, isolation: str = "read_committed", timeout: float = PATIENCE) -> list[Any]:
    """Every record of a topic up to its stable end, in the order of partitions and offsets."""
    with closing(
        KafkaConsumer(
            bootstrap_servers=stack.broker.address,
            isolation_level=isolation,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
    ) as consumer:
        numbers: set[int] = set()

        def is_known() -> bool:
            with suppress(MetadataEmptyBrokerList):  # its controller has fenced a broker that stood still, for a moment
                numbers.update(consumer.partitions_for_topic(topic))
            return bool(numbers)

        wait_until(is_known, what=f"the partitions of {topic}")
        partitions = [TopicPartition(topic, number) for number in sorted(numbers)]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        read: list[Any] = []

        def all_read() -> bool:
            read.extend(record for batch in consumer.poll(timeout_ms=200).values() for record in batch)
            return all(consumer.position(partition) >= end for partition, end in ends.items())

        wait_until(all_read, timeout, f"the end of {topic}")
        return sorted(read, key=lambda record: (record.partition, record.offset))


def write(
    stack: Stack,
    topic: str,
    records: Iterable[tuple[bytes | None, bytes | None, list[tuple[str, Any]]]],
    dated_ms: int | None = None,
) -> None:
    """Send records (key, value, headers) to partition 0, 1, 0, 1 … and wait until all are there.

    Args:
        stack: the broker.
        topic: has partitions already.
        records: in the order of sending.
        dated_ms: their timestamp in ms since 1970; None: now.
    """
    with closing(KafkaProducer(bootstrap_servers=stack.broker.address, max_request_size=2**24)) as producer:
        partitions = sorted(producer.partitions_for(topic))
        sent = [
            producer.send(topic, value, key, headers, partitions[number % len(partitions)], dated_ms)
            for number, (key, value, headers) in enumerate(records)
        ]
        for future in sent:
            future.get(timeout=30)


def write_raw(stack: Stack, topic: str, key: bytes | None, value: bytes | None, headers: list[tuple[str, Any]]) -> None:
    """Send to partition 0 what `KafkaProducer.send` refuses but other clients can write: nulls of every kind."""
    lengths = mock.patch("kafka.producer.producer_batch.len", lambda value: len(value or b""), create=True)
    with lengths, closing(KafkaProducer(bootstrap_servers=stack.broker.address)) as producer:
        producer.partitions_for(topic)
        future, *_ = producer._accumulator.append(TopicPartition(topic, 0), None, key, value, headers)
        producer._sender.wakeup()
        future.get(timeout=30)


def recreate(admin: KafkaAdminClient, topic: str, partitions: int = 2) -> None:
    """Delete a topic, and create it again as soon as its deletion is through."""
    wanted = {topic: {"num_partitions": partitions, "replication_factor": 1}}

    def is_created() -> bool:
        answer = admin.create_topics(wanted, raise_errors=False)
        return all(each["error_code"] == 0 for each in answer["topics"])

    admin.delete_topics([topic])
    wait_until(is_created, what=f"{topic} recreated")
    admin.wait_for_topics([topic])


def configure(stack: Stack, topic: str, **config: Any) -> None:
    """Change settings of a topic, named as Kafka does but with underscores."""
    named = {name.replace("_", "."): str(value) for name, value in config.items()}
    with closing(KafkaAdminClient(bootstrap_servers=stack.broker.address)) as admin:
        admin.alter_configs([ConfigResource("TOPIC", topic, named)])


def picture(colour: str | int | tuple[int, ...] = "red", mode: str = "RGB", kind: str = "PNG", size: int = 16) -> bytes:
    """An encoded picture of one colour."""
    buffer = io.BytesIO()
    Image.new(mode, (size, size), colour).save(buffer, kind)
    return buffer.getvalue()


def post(
    post_id: str, colour: str | int | tuple[int, ...] = "red", caption: str | None = None, city: str = "london"
) -> Any:
    """A post's record (key, value, headers) whose picture is of one colour."""
    headers = [("city", city.encode())]
    if caption is not None:
        headers.append(("caption", caption.encode()))
    return post_id.encode(), picture(colour), headers
