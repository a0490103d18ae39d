"""Stage `read` on a broker, in a group and at a time that obey a test; and a watchdog that says what it guards."""

import contextlib
import math
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from kafka import ConsumerGroupMetadata, OffsetAndMetadata, TopicPartition
from prometheus_client import CollectorRegistry

from consumer.kafka.lag import Behind
from consumer.kafka.watchdog import Watchdog
from consumer.label import read
from consumer.label.batch import Batch
from consumer.label.group import Reassigned
from consumer.label.read import Source
from consumer.label.settings import LabelSettings
from consumer.metrics import LabelMetrics
from tests.unit.consumer.clock import Clock
from tests.unit.consumer.label.records import Record, record

PATIENCE = 100
"""Turns within which a batch must come."""


def at(number: int) -> TopicPartition:
    return TopicPartition("posts", number)


class Broker:
    """Partitions of ten records, and what the group has committed. It is the admin client as well."""

    def __init__(self) -> None:
        self.topic_id = "first"
        self.logs = {at(number): [record(offset, b"", partition=number) for offset in range(10)] for number in (0, 1)}
        self.committed: dict[TopicPartition, OffsetAndMetadata] = {}
        self.members = {"m"}

    def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
        partitions = [{"partition_index": partition.partition} for partition in self.logs]
        return [{"error_code": 0, "topic_id": self.topic_id, "partitions": partitions} for _ in names]

    def describe_groups(self, names: list[str]) -> dict[str, Any]:
        return {name: {"members": [{"member_id": member} for member in self.members]} for name in names}

    def list_partition_offsets(self, asked: dict[TopicPartition, Any], timeout_ms: int) -> dict[TopicPartition, Any]:
        @dataclass
        class Found:
            offset: int

        return {tp: Found(0 if spec.name == "EARLIEST" else len(self.logs[tp])) for tp, spec in asked.items()}

    def list_group_offsets(self, asked: dict[str, list[TopicPartition]]) -> dict[str, Any]:
        return {group: {tp: self.committed[tp] for tp in wanted} for group, wanted in asked.items()}


class GroupConsumer:
    """As kafka-python's: a partition that is kept over a rebalance keeps its position in memory."""

    def __init__(self, broker: Broker, member: str = "m") -> None:
        self.broker = broker
        self.positions: dict[TopicPartition, int] = {}  # of the assigned partitions
        self.generation = 0
        self.member = member
        self.during_poll: deque[Callable[[], None]] = deque()
        self.listener: Any = None
        self.closed = False

    def give(self, *numbers: int) -> None:
        """The group is rebalanced: these partitions are ours now."""
        self.generation += 1
        self.listener.on_partitions_revoked(set(self.positions))
        committed = {tp: after.offset for tp, after in self.broker.committed.items()}
        self.positions = {at(number): self.positions.get(at(number), committed[at(number)]) for number in numbers}
        self.listener.on_partitions_assigned(set(self.positions))

    def close(self, timeout_ms: int) -> None:
        self.closed = True

    def subscribe(self, topics: list[str], listener: Any) -> None:
        self.listener = listener

    def poll(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Record]]:
        if self.during_poll:
            self.during_poll.popleft()()
        for partition, position in self.positions.items():
            if found := self.broker.logs[partition][position : position + max_records]:
                self.positions[partition] = position + len(found)
                return {partition: found}
        return {}

    def group_metadata(self) -> ConsumerGroupMetadata:
        return ConsumerGroupMetadata("g", self.generation, self.member)

    def assignment(self) -> set[TopicPartition]:
        return set(self.positions)

    def committed(self, partition: TopicPartition, metadata: bool, timeout_ms: int) -> OffsetAndMetadata | None:
        return self.broker.committed.get(partition)

    def commit(self, offsets: dict[TopicPartition, OffsetAndMetadata], timeout_ms: int) -> None:
        self.broker.committed.update(offsets)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        if partition not in self.positions:
            raise ValueError("Unassigned partition")
        self.positions[partition] = offset

    def position(self, partition: TopicPartition, timeout_ms: int) -> int:
        return self.positions[partition]


class Outputs:
    """What came out of each partition, as the worker reads it from the outputs."""

    def __init__(self, settings: LabelSettings) -> None:
        self.after: dict[TopicPartition, int] = {}

    def beyond(self, committed: dict[TopicPartition, int], topic_id: str) -> dict[TopicPartition, int]:
        return {tp: offset for tp, offset in self.after.items() if offset > committed.get(tp, offset)}


class Line:
    """A source whose group has given it partition 0, or what the test says."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        stop_at_end: bool = False,
        broker: Broker | None = None,
        member: str = "m",
    ) -> None:
        self.broker = broker or Broker()
        self.consumer = GroupConsumer(self.broker, member)
        monkeypatch.setattr(read, "build_admin", lambda settings: self.broker)
        monkeypatch.setattr(read, "build_consumer", lambda *_: self.consumer)
        monkeypatch.setattr(read, "Published", Outputs)
        monkeypatch.setattr(Behind, "_watch", lambda behind: None)  # its thread would outlive the test
        self.clock = Clock()
        monkeypatch.setattr(read, "time", self.clock)
        monkeypatch.setattr("consumer.label.batch.time", self.clock)
        settings = LabelSettings.model_validate({"batch_size": 4, "batch_deadline": 60, "stop_at_end": stop_at_end})
        self.source = Source(settings, LabelMetrics(CollectorRegistry()), Watchdog(), threading.Event())
        self.most = settings.batch_size
        self.source.join()
        for number in (0, 1):
            self.broker.committed.setdefault(at(number), OffsetAndMetadata(0, "", -1))
        self.consumer.give(0)
        self.source.resync()

    def batch(self) -> Batch:
        """The next batch, as the worker gets it: what is raised leads to `resync`."""
        for _ in range(PATIENCE):
            try:
                if batch := self.source.next_batch(None, self.most):
                    return batch
            except Reassigned:
                self.source.resync()
        raise AssertionError("no batch")

    def collect(self, number: int) -> None:
        """Read so many records, short of a batch: the oldest batch in flight is done, and they stay for the next."""
        whole = self.broker.logs[at(0)]
        self.broker.logs[at(0)] = whole[: self.consumer.positions[at(0)] + number]
        assert self.source.next_batch(InFlight(polls=1), self.most) is None
        self.broker.logs[at(0)] = whole


class InFlight:
    """A batch in flight, done after so many polls; of a hanging model never."""

    def __init__(self, polls: float = math.inf) -> None:
        self.polls, self.asked = polls, 0

    def done(self) -> bool:
        self.asked += 1
        assert self.asked < PATIENCE, "the loop has no turn to see that the model hangs"
        return self.asked > self.polls


def places(batch: Batch) -> list[tuple[int, int]]:
    return [(record.partition, record.offset) for record in batch.records]


class Limits(Watchdog):
    """Knows what is guarded at this moment."""

    def __init__(self) -> None:
        super().__init__()
        self.guarding: tuple[float, str] | None = None  # seconds, what is done

    @contextlib.contextmanager
    def limit(self, seconds: float, doing: str) -> Iterator[None]:
        self.guarding = (seconds, doing)
        try:
            with super().limit(seconds, doing):
                yield
        finally:
            self.guarding = None
