"""How far each assigned partition is behind, and whether it moves."""

import time
from collections.abc import Mapping

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError

from consumer.metrics import LabelMetrics

STUCK_AFTER = 60.0
"""Seconds without a commit, although there is lag, after which a partition counts as stuck."""


class Lag:
    """Records at the broker that are not committed yet, per assigned partition. Owned by the main thread."""

    def __init__(self, metrics: LabelMetrics) -> None:
        """Begin without partitions.

        Args:
            metrics: where it is shown.
        """
        self._metrics = metrics
        self._committed: dict[TopicPartition, int] = {}
        self._latest: Mapping[TopicPartition, int] = {}
        self._moved: dict[TopicPartition, tuple[int, float]] = {}  # committed offset, and since when it stands there

    def restart(self, committed: Mapping[TopicPartition, int], latest: Mapping[TopicPartition, int]) -> None:
        """Forget the partitions of before.

        Args:
            committed: where each assigned partition stands.
            latest: where it ends.
        """
        self._committed, self._latest = dict(committed), latest
        self._moved.clear()
        self._metrics.lag.clear()
        self._metrics.assigned_partitions.set(len(committed))

    def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """Take note of what was committed."""
        self._committed.update({partition: after.offset for partition, after in offsets.items()})

    def measure(self, consumer: KafkaConsumer) -> None:
        """Set the lag of every assigned partition and how many do not move."""
        now, stuck = time.monotonic(), 0
        for partition, committed in self._committed.items():
            try:
                highwater = consumer.highwater(partition)
            except KafkaError:  # taken away this moment
                continue
            end = max(highwater or 0, self._latest.get(partition, 0))  # no highwater before the first fetch
            lag = max(0, end - committed)
            self._metrics.lag.labels(str(partition.partition)).set(lag)
            before, since = self._moved.get(partition, (-1, now))
            if lag == 0 or before != committed:
                self._moved[partition] = (committed, now)
            elif now - since > STUCK_AFTER:
                stuck += 1
        self._metrics.stuck_partitions.set(stuck)

    def positions(self) -> str:
        """Where each partition stands, as ``partition@offset,…``."""
        return ",".join(f"{tp.partition}@{offset}" for tp, offset in sorted(self._committed.items()))

    def total(self) -> int:
        """The lag over all assigned partitions, as last measured."""
        return int(sum(sample.value for metric in self._metrics.lag.collect() for sample in metric.samples))
