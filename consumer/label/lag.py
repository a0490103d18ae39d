"""How far each assigned partition is behind and how long its oldest post waits, and whether one is stuck.

Stuck: it has lag, but an idle worker gets nothing. Only idle time counts: a busy worker may be a long time about what
it has of other partitions.
"""

import time
from collections.abc import Mapping
from math import inf, nan

from kafka import KafkaAdminClient, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError

from consumer.kafka.lag import Behind, Partitions
from consumer.kafka.offsets import ROUND_TRIP_MS, append_time
from consumer.metrics import LabelMetrics

MOST_LOOKS = 1000
"""Remembered looks at one partition; beyond it every second one is forgotten, so that a post counts as younger."""


class Waiting(Partitions):
    """Assigned partitions: where their group stands, and since when the first record from there on waits.

    Whoever has a partition by now, its group's committed offset counts: a worker that is held does not hear that
    another one goes on in its place. What this worker itself has committed or passed counts as well.

    A record that comes while this worker looks waits since the look that found it: no sender can move that clock. One
    that was there before entered when the broker says so. A sender's word for it (CreateTime) is not taken: the record
    counts from the first look, so its age is a lower bound.
    """

    def __init__(
        self,
        positions: Mapping[TopicPartition, int],
        ends: Mapping[TopicPartition, int],
        group_id: str = "",
        note: str = "",
    ) -> None:
        """Begin with what is known.

        Args:
            positions: where each partition stands.
            ends: where each ends.
            group_id: whose committed offsets count.
            note: what their metadata ends with; others are of an earlier topic of this name.
        """
        super().__init__(positions, ends)
        now = time.monotonic()
        self._group_id = group_id
        self._note = note
        self._there_before = dict(self._ends)  # records below were there before the first look
        self._since = dict.fromkeys(positions, now)
        self._looks = {partition: [(now, end)] for partition, end in self._ends.items()}  # when, and the end then
        self._entered: dict[TopicPartition, tuple[int, float]] = {}  # offset -> when it entered the log

    def oldest(self, partition: TopicPartition) -> float:
        """Seconds that the first record from the position on has waited; 0 without one, not a number when unknown."""
        if self.is_unknown():
            return nan
        return time.monotonic() - self._since[partition] if self.behind(partition) else 0.0

    def position(self, partition: TopicPartition) -> float:
        """Offset of the next record that is not committed."""
        position: int = self.positions[partition]
        return position

    def learn(self, admin: KafkaAdminClient) -> None:
        """Ask the broker; for the thread of `Behind`.

        Raises:
            KafkaError: it did not answer.
        """
        if not self.positions:
            return
        committed = admin.list_group_offsets({self._group_id: list(self.positions)})[self._group_id]
        ours = {each: after for each, after in committed.items() if (after.metadata or "").endswith(self._note)}
        self.move({each: after.offset for each, after in ours.items()})
        ends = self._ask(admin)
        self._since |= {each: self._waits_since(admin, each, end) for each, end in ends.items()}
        self._take(ends)  # last: an age is never that of an earlier record for long

    def _waits_since(self, admin: KafkaAdminClient, partition: TopicPartition, end: int) -> float:
        """In monotonic seconds; now, if nothing waits."""
        now, offset, looks = time.monotonic(), self.positions[partition], self._looks[partition]
        if not looks or end > looks[-1][1]:
            looks.append((now, end))
        while looks and looks[0][1] <= offset:
            looks.pop(0)
        if not looks:
            return now
        if len(looks) > MOST_LOOKS:
            del looks[1::2]
        first_seen = looks[0][0]
        if offset >= self._there_before[partition]:
            return first_seen
        if self._entered.get(partition, (-1, inf))[0] != offset:  # asked once: the answer may have 16 MB
            self._entered[partition] = offset, _entry(admin, partition, offset)
        return min(first_seen, self._entered[partition][1])


def _entry(admin: KafkaAdminClient, partition: TopicPartition, offset: int) -> float:
    """When a record entered the log, in monotonic seconds; infinite where that cannot be had."""
    try:
        entered = append_time(admin, partition, offset)
    except KafkaError:
        entered = None
    return inf if entered is None else time.monotonic() - max(0.0, time.time() - entered)


class Lag:
    """The lag of the assigned partitions. Owned by the main thread."""

    def __init__(self, admin: KafkaAdminClient, group_id: str, metrics: LabelMetrics, stuck_after: float) -> None:
        """Begin without partitions.

        Args:
            admin: asks the broker; nobody else uses it.
            group_id: of the workers.
            metrics: where it is shown.
            stuck_after: seconds that a partition with lag may give an idle worker nothing.
        """
        self._group_id = group_id
        self._metrics = metrics
        self._stuck_after = stuck_after
        self._waited: dict[TopicPartition, float] = {}  # idle seconds in which a partition with lag gave nothing
        self._idle_since = 0.0  # when an idle worker last asked, in monotonic seconds; 0: it has worked since
        self._behind = Behind(
            admin,
            Waiting({}, {}),
            {
                metrics.lag: Waiting.lag,
                metrics.oldest_waiting: Waiting.oldest,
                metrics.committed_offset: Waiting.position,
            },
        )

    def restart(self, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int], note: str) -> None:
        """Forget the partitions of before.

        Args:
            starts: where each assigned partition stands.
            ends: where it ends.
            note: of the topic, in the metadata of its committed offsets.
        """
        self._behind.restart(Waiting(starts, ends, self._group_id, note))
        self._waited.clear()
        self._idle_since = 0.0
        self._metrics.assigned_partitions.set(len(starts))

    def record_commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """Record what was committed."""
        self._behind.now.move({partition: after.offset for partition, after in offsets.items()})
        self._idle_since = 0.0
        for partition in offsets:
            self._waited.pop(partition, None)

    def pass_markers(self, consumer: KafkaConsumer) -> None:
        """For a worker with nothing in flight: what lies between the last commit and its position is no record.

        There are markers of transactions and aborted records; without this they would stay lag.
        """
        now = self._behind.now
        now.move({each: consumer.position(each, timeout_ms=ROUND_TRIP_MS) or 0 for each in now.positions})

    def find_stuck(self) -> list[TopicPartition]:
        """For a worker with nothing in flight: find the partitions that have lag but gave nothing for STUCK_AFTER."""
        now = time.monotonic()
        idle = now - self._idle_since if self._idle_since else 0.0
        self._idle_since = now
        behind = [partition for partition in self._behind.now.positions if self._behind.now.behind(partition)]
        self._waited = {partition: self._waited.get(partition, 0.0) + idle for partition in behind}
        stuck = sorted(partition for partition, waited in self._waited.items() if waited > self._stuck_after)
        self._metrics.stuck_partitions.set(len(stuck))
        return stuck

    def positions(self) -> str:
        """Where each partition stands, as ``partition@offset,…``."""
        return ",".join(f"{tp.partition}@{offset}" for tp, offset in sorted(self._behind.now.positions.items()))

    def total(self) -> int:
        """The lag over all assigned partitions, as last seen."""
        return sum(map(self._behind.now.behind, self._behind.now.positions))

    def close(self) -> None:
        """Look no more."""
        self._behind.close()
