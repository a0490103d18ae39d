"""A broker and its consumer in memory, as the board's stages use them: partitions that expire, grow and are refused."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaConnectionError, OffsetOutOfRangeError, TopicAuthorizationFailedError

Log = dict[int, bytes]
"""Offset -> value; what lies before the first has expired."""


@dataclass
class Broker:
    """What there is; it is the admin client as well."""

    logs: dict[TopicPartition, Log]
    refused: set[str] = field(default_factory=set)
    silent: set[TopicPartition] = field(default_factory=set)
    is_away: bool = False

    def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
        partitions = [{"partition_index": each.partition} for each in self.logs if each.topic in names]
        return [{"error_code": 0, "topic_id": "one", "partitions": partitions}]

    def list_partition_offsets(self, asked: dict[TopicPartition, Any], timeout_ms: int) -> dict[TopicPartition, Any]:
        return {
            tp: SimpleNamespace(offset=min(self.logs[tp]) if when.name == "EARLIEST" else max(self.logs[tp]) + 1)
            for tp, when in asked.items()
        }

    def begin(self, partition: TopicPartition, offset: int) -> None:
        """Let everything before an offset expire."""
        self.logs[partition] = {at: value for at, value in self.logs[partition].items() if at >= offset}


class Consumer:
    """As kafka-python's: what it knows of the topics is as old as its last look."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.known = set(broker.logs)
        self.positions: dict[TopicPartition, int] = {}

    def topics(self) -> set[str]:
        if self.broker.is_away:
            raise KafkaConnectionError("away")
        self.known = set(self.broker.logs)
        return {partition.topic for partition in self.known}

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {partition.partition for partition in self.known if partition.topic == topic}

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.positions = {each: self.positions.get(each, -1) for each in partitions}

    def assignment(self) -> set[TopicPartition]:
        return set(self.positions)

    def unsubscribe(self) -> None:
        self.assign([])

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.positions[partition] = offset

    def position(self, partition: TopicPartition, timeout_ms: int = 0) -> int:
        return self.positions[partition]

    def highwater(self, partition: TopicPartition) -> int:
        return max(self.broker.logs[partition]) + 1

    def beginning_offsets(self, partitions: list[TopicPartition], timeout_ms: int) -> dict[TopicPartition, int]:
        return {partition: min(self.broker.logs[partition]) for partition in partitions}

    def end_offsets(self, partitions: list[TopicPartition], timeout_ms: int) -> dict[TopicPartition, int]:
        return {partition: self.highwater(partition) for partition in partitions}

    def poll(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        """Records of one partition at most, as often as not."""
        if self.broker.is_away:
            return {}
        for partition in sorted(set(self.positions) - self.broker.silent):
            log, at = self.broker.logs[partition], self.positions[partition]
            if partition.topic in self.broker.refused:
                raise TopicAuthorizationFailedError({partition.topic})
            if not min(log) <= at <= max(log) + 1:
                raise OffsetOutOfRangeError({partition: at})
            if offsets := [offset for offset in sorted(log) if offset >= at][:max_records]:
                self.positions[partition] = offsets[-1] + 1
                where = {"topic": partition.topic, "partition": partition.partition}
                return {partition: [SimpleNamespace(offset=offset, value=log[offset], **where) for offset in offsets]}
        return {}
