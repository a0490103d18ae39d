"""A look at one place of a topic, without a consumer: the batches that lie there, as they lie there."""

from typing import Any

from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import for_code
from kafka.protocol.consumer.fetch import FetchRequest


def fetch_batches(admin: KafkaAdminClient, partition: TopicPartition, offset: int, most: int = 1) -> bytes:
    """The batch with an offset, or the first one after it, and those behind it as far as they fit.

    Args:
        admin: connected.
        partition: where.
        offset: what to begin with.
        most: bytes; the first batch comes whole however large it is, the last one may be cut off.

    Raises:
        KafkaError: the broker did not answer, or refused.
    """
    topic = FetchRequest.FetchTopic
    where = topic.FetchPartition(partition=partition.partition, fetch_offset=offset, partition_max_bytes=most)
    topics = [topic(topic=partition.topic, partitions=[where])]
    # From version 13 on it would have to name the topic by its id.
    request = FetchRequest(max_wait_ms=0, min_bytes=0, max_bytes=most, topics=topics, max_version=12)

    async def fetch() -> Any:
        (leader,) = await admin._async_get_leader_for_partitions([partition])
        return await admin._manager.send(request, node_id=leader)

    (answer,) = admin._manager.run(fetch).responses[0].partitions
    if answer.error_code:
        raise for_code(answer.error_code)(f"{partition.topic}/{partition.partition}")
    return bytes(answer.records or b"")
