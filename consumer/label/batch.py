"""A batch: records, what committing them takes, and when they are enough. `read.py` polls them."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from kafka import ConsumerGroupMetadata, OffsetAndMetadata, TopicPartition

from consumer.kafka.bounded_consumer import POLL_BYTES

ClosedBy = Literal["size", "deadline", "ready"]
"""Full, the first record waited long enough, or nothing more can come."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Records, and what committing them takes: both travel together.

    Attributes:
        records: at least one, in the order of their partitions.
        offsets: the next offset of each partition that has records here.
        group: the group's metadata taken when the records were polled, never later.
        closed_by: why it was closed.
        polled_at: when it was closed, in monotonic seconds.
        topic_id: of the topic that the records are of.
        condemned: workers have died of its only record; it must not be tried again.
    """

    records: tuple[Any, ...]
    offsets: dict[TopicPartition, OffsetAndMetadata]
    group: ConsumerGroupMetadata
    closed_by: ClosedBy
    polled_at: float = field(default_factory=time.monotonic)
    topic_id: str = ""
    condemned: bool = False


class Working(Protocol):
    """A batch in flight, as far as reading needs to know."""

    def done(self) -> bool:
        """Whether its outcomes are there."""


class Collected:
    """Records that are polled and in no batch yet."""

    def __init__(self) -> None:
        self._records: list[Any] = []
        self._group: ConsumerGroupMetadata | None = None
        self._first_at = 0.0
        self.size = 0  # bytes

    def __len__(self) -> int:
        return len(self._records)

    def add(self, found: Mapping[TopicPartition, Sequence[Any]], group: ConsumerGroupMetadata) -> None:
        """Take what one poll found, at least one record, with the group's metadata at that time."""
        if not self._records:
            self._first_at = time.monotonic()
        self._group = group
        for records in found.values():
            self._records.extend(records)
            self.size += sum(_size(record) for record in records)

    def due(self, most: int, deadline: float) -> Literal["size", "deadline"] | None:
        """Why they must become a batch now; None: more may come.

        Args:
            most: records; of bytes it is `POLL_BYTES`.
            deadline: seconds that the first record may wait.
        """
        if len(self._records) >= most or self.size >= POLL_BYTES:
            return "size"
        return "deadline" if self._records and self.waited() >= deadline else None

    def waited(self) -> float:
        """Seconds since the first record came."""
        return time.monotonic() - self._first_at

    def clear(self) -> None:
        """Forget them."""
        self._records.clear()
        self.size = 0

    def close(self, by: ClosedBy, after: Callable[[int], OffsetAndMetadata], topic_id: str = "") -> Batch:
        """They become a batch.

        Args:
            by: why now.
            after: what to commit after the record at an offset.
            topic_id: of their topic.
        """
        assert self._group is not None
        offsets = {TopicPartition(record.topic, record.partition): after(record.offset) for record in self._records}
        batch = Batch(tuple(self._records), offsets, self._group, by, topic_id=topic_id)
        self._records, self.size = [], 0
        return batch


def _size(record: Any) -> int:
    headers = sum(len(name) + len(value or b"") for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers
