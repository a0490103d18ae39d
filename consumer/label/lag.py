"""How far each assigned partition is behind, and whether one is stuck: it has lag, but an idle worker gets nothing.

Only idle time counts: a busy worker may be a long time about what it has of other partitions.
"""

import time
from collections.abc import Mapping

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError

from consumer.metrics import LabelMetrics
from consumer.offsets import ROUND_TRIP_MS


class Lag:
    """Records at the broker that are not committed yet, per assigned partition. Owned by the main thread."""

    def __init__(self, metrics: LabelMetrics, stuck_after: float) -> None:
        """Begin without partitions.

        Args:
            metrics: where it is shown.
            stuck_after: seconds that a partition with lag may give an idle worker nothing.
        """
        self._metrics = metrics
        self._stuck_after = stuck_after
        self._committed: dict[TopicPartition, int] = {}
        self._latest: Mapping[TopicPartition, int] = {}
        self._waited: dict[TopicPartition, float] = {}  # idle seconds in which a partition with lag gave nothing
        self._idle_since = 0.0  # when an idle worker last asked, in monotonic seconds; 0: it has worked since

    def restart(self, committed: Mapping[TopicPartition, int], latest: Mapping[TopicPartition, int]) -> None:
        """Forget the partitions of before.

        Args:
            committed: where each assigned partition stands.
            latest: where it ends.
        """
        self._committed, self._latest = dict(committed), latest
        self._waited.clear()
        self._idle_since = 0.0
        self._metrics.lag.clear()
        self._metrics.assigned_partitions.set(len(committed))

    def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """Take note of what was committed."""
        self._committed.update({partition: after.offset for partition, after in offsets.items()})
        self._idle_since = 0.0
        for partition in offsets:
            self._waited.pop(partition, None)

    def pass_markers(self, consumer: KafkaConsumer) -> None:
        """For a worker with nothing in flight: what lies between the last commit and its position is no record.

        There are markers of transactions and aborted records; without this they would be lag for ever.
        """
        for partition, committed in self._committed.items():
            position = consumer.position(partition, timeout_ms=ROUND_TRIP_MS)
            self._committed[partition] = max(committed, position or 0)

    def measure(self, consumer: KafkaConsumer) -> None:
        """Set the lag of every assigned partition."""
        for partition, committed in self._committed.items():
            try:
                highwater = consumer.highwater(partition)
            except KafkaError:  # taken away this moment
                continue
            end = max(highwater or 0, self._latest.get(partition, 0))  # no highwater before the first fetch
            lag = max(0, end - committed)
            self._metrics.lag.labels(str(partition.partition)).set(lag)
            if lag == 0:
                self._waited.pop(partition, None)
            else:
                self._waited.setdefault(partition, 0.0)

    def stuck(self) -> list[TopicPartition]:
        """For a worker with nothing in flight: the partitions that have lag but gave nothing for STUCK_AFTER."""
        now = time.monotonic()
        idle = now - self._idle_since if self._idle_since else 0.0
        self._idle_since = now
        for partition in self._waited:
            self._waited[partition] += idle
        stuck = sorted(partition for partition, waited in self._waited.items() if waited > self._stuck_after)
        self._metrics.stuck_partitions.set(len(stuck))
        return stuck

    def positions(self) -> str:
        """Where each partition stands, as ``partition@offset,…``."""
        return ",".join(f"{tp.partition}@{offset}" for tp, offset in sorted(self._committed.items()))

    def total(self) -> int:
        """The lag over all assigned partitions, as last measured."""
        return int(sum(sample.value for metric in self._metrics.lag.collect() for sample in metric.samples))
