"""kafka-python's consumer, as everybody here reads: committed records alone, in polls that are bounded in bytes.

`consumer.kafka.unpack` iterates over the batches. kafka-python bounds nothing (consumer/kafka/README.md, fact 22), and
has no place to put other batches in, so its fetcher is replaced.
"""

import itertools
from typing import Any

from kafka import KafkaConsumer
from kafka.consumer.fetcher import Fetcher
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.memory_records import MemoryRecords

from consumer.kafka.unpack import LARGEST, Batch
from producer.base.connect import connect
from producer.base.settings import KafkaSettings

POLL_BYTES = 128 * 2**20
"""A poll ends with the record that makes it so large, unpacked."""


class Consumer(KafkaConsumer):  # type: ignore[misc]  # kafka-python has no types
    """kafka-python's, with another fetcher. It commits nothing by itself."""

    def __init__(self, settings: KafkaSettings, client_id: str, largest: int = LARGEST, **further: Any) -> None:
        """Connect.

        Args:
            settings: of the broker.
            client_id: its name in the broker's metrics and quotas.
            largest: bytes of a record of a compressed batch; a larger one comes without its value.
            further: more of kafka-python's options.

        Raises:
            KafkaError: the broker does not answer.
        """
        super().__init__(
            **settings.kafka(),
            allow_auto_create_topics=False,
            client_id=client_id,
            # In a group it is more: only so do committed offsets wait for a predecessor's transaction (fact 6).
            isolation_level="read_committed",
            auto_offset_reset="none",  # else expired records go unsaid (fact 9)
            enable_auto_commit=False,
            metrics_enabled=False,
            **further,
        )
        self._fetcher = _Fetcher(self._client, self._subscription, metrics=self._metrics, **self.config)
        self._fetcher.largest = largest


def build_consumer(settings: KafkaSettings, client_id: str, **further: Any) -> Consumer:
    """One outside of any group, connected: its partitions and offsets are given by hand, and it commits nothing.

    Args:
        settings: of the broker.
        client_id: its name in the broker's metrics and quotas.
        further: more of kafka-python's options.

    Raises:
        CommandError: the broker cannot be reached, or refuses.
    """
    return connect(settings, lambda: Consumer(settings, client_id, **further))


class _Fetcher(Fetcher):  # type: ignore[misc]
    """Its polls are bounded in bytes, and its batches are `Batch`."""

    largest = LARGEST
    _room = POLL_BYTES  # bytes that this poll may still unpack

    def fetched_records(self, *args: Any, **options: Any) -> Any:
        self._room = POLL_BYTES
        return super().fetched_records(*args, **options)

    def _append(self, drained: Any, part: "_PartitionRecords", max_records: int, update_offsets: bool) -> int:
        before, part.room = part.bytes_read, self._room
        taken: int = super()._append(drained, part, max_records, update_offsets)
        self._room -= part.bytes_read - before
        return taken if self._room > 0 else max_records  # as if all had come that were asked for: the poll ends

    def PartitionRecords(self, offset: int, partition: Any, records: MemoryRecords, **options: Any) -> Any:
        return _PartitionRecords(offset, partition, _Batches(records, self.largest), **options)


class _PartitionRecords(Fetcher.PartitionRecords):  # type: ignore[misc]
    """What one answer of the broker has of a partition; the next `take` ends with the record that fills `room`."""

    room = POLL_BYTES

    def take(self, n: int | None = None) -> list[Any]:
        self._maybe_raise_next_inline_exception()
        records: list[Any] = []
        full = self.bytes_read + self.room
        try:
            for record in itertools.islice(self.record_iterator, n):
                records.append(record)
                if self.bytes_read >= full:
                    break
        except Exception as error:  # as kafka-python does: what came before it comes first
            if not records:
                raise
            self._next_inline_exception = error
        return records


class _Batches:
    """The batches of one answer; those of brokers of before 2017 stay kafka-python's."""

    def __init__(self, records: MemoryRecords, largest: int) -> None:
        self._records = records
        self._largest = largest

    def next_batch(self) -> Any:
        batch = self._records.next_batch()
        return Batch(batch, self._largest) if isinstance(batch, DefaultRecordBatch) else batch
