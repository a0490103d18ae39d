"""kafka-python's own limit: consume and transact, with no record looked at."""

import time

from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition

from consumer.kafka.offsets import ends_of
from consumer.kafka.transactions import build_producer
from consumer.label.group import build_consumer
from consumer.label.settings import LabelSettings
from producer.base.connect import connect
from producer.topics import LABEL_LIMIT, admin_client

GROUP_SUFFIX = "-limit"


def seconds(settings: LabelSettings, value: bytes, headers: list[tuple[str, bytes]]) -> float:
    """Seconds to read the whole input topic and to write as many records, a transaction per poll.

    Args:
        settings: whose topics, batch size and client options.
        value: of every record written: as large as a labelled post.
        headers: of every record written.
    """
    settings = settings.model_copy(update={"group_id": settings.group_id + GROUP_SUFFIX})
    with admin_client(settings) as admin:
        ends = ends_of(admin, settings.input_topic).latest
        name, outputs = f"{settings.member}{GROUP_SUFFIX}", [settings.output_topic]
        producer = connect(settings, lambda: build_producer(settings, admin, name, outputs, LABEL_LIMIT))
    consumer = build_consumer(settings)
    try:
        partitions = [TopicPartition(settings.input_topic, number) for number in range(len(ends))]
        consumer.assign(partitions)
        for partition in partitions:
            consumer.seek(partition, 0)
        started = time.perf_counter()
        while any(consumer.position(partition) < ends[partition] for partition in partitions):
            _transact(settings, consumer, producer, value, headers)
        return time.perf_counter() - started
    finally:
        producer.close(timeout=5)
        consumer.close()


def _transact(
    settings: LabelSettings,
    consumer: KafkaConsumer,
    producer: KafkaProducer,
    value: bytes,
    headers: list[tuple[str, bytes]],
) -> None:
    found = consumer.poll(timeout_ms=500, max_records=settings.batch_size)
    if not found:
        return
    producer.begin_transaction()
    for partition, records in found.items():
        for record in records:
            producer.send(settings.output_topic, value, record.key, headers, partition.partition)
    offsets = {partition: OffsetAndMetadata(records[-1].offset + 1, "", -1) for partition, records in found.items()}
    producer.send_offsets_to_transaction(offsets, settings.group_id)
    producer.commit_transaction()
