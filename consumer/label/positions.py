"""Where each partition goes on: what is committed, unless retention or a topic created anew has taken that away.

Nothing is passed over silently: every case has a warning and counts in ``expired_records_total``.
"""

import logging
from collections.abc import Mapping

from kafka import KafkaAdminClient, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError, UnknownTopicOrPartitionError

from consumer.metrics import LabelMetrics
from consumer.offsets import ROUND_TRIP_MS, Ends, ends_of, topic_id_of
from producer.logs import event

log = logging.getLogger(__name__)

_ID = "topic_id="


class Positions:
    """The starting offsets of one topic. Owned by the main thread."""

    def __init__(self, admin: KafkaAdminClient, topic: str, metrics: LabelMetrics) -> None:
        """Look at the topic.

        Args:
            admin: asks the broker.
            topic: the input topic.
            metrics: where what was passed over is counted.

        Raises:
            KafkaError: the broker did not answer, or has no such topic.
        """
        self._admin = admin
        self._topic = topic
        self._metrics = metrics
        self._topic_id = topic_id_of(admin, topic)
        self._said: set[tuple[TopicPartition, int]] = set()  # partition and beginning that were warned of
        self._known: dict[TopicPartition, int] = {}  # where each stood when this process last committed or asked

    def is_recreated(self) -> bool:
        """Whether the topic is another one than at the last look: deleted and created anew under its name.

        Raises:
            KafkaError: the broker did not answer, or has no such topic now.
        """
        return topic_id_of(self._admin, self._topic) != self._topic_id

    def after(self, offset: int) -> OffsetAndMetadata:
        """The offset to commit after a record.

        It carries the topic's id: an offset that was committed for a topic since deleted says nothing of its
        successor, although it may well lie within its log.
        """
        return OffsetAndMetadata(offset + 1, f"{_ID}{self._topic_id}", -1)

    def starts(self, consumer: KafkaConsumer) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
        """Where each assigned partition goes on, and where it ends now.

        Raises:
            KafkaError: the broker did not answer, or a partition is no longer there.
        """
        partitions = sorted(consumer.assignment())
        if not partitions:
            return {}, {}
        self._look_again()
        committed = {partition: self._committed(consumer, partition) for partition in partitions}
        # Afterwards: what others commit in between would lie beyond ends that were asked for before.
        ends = ends_of(self._admin, self._topic)
        if missing := [partition for partition in partitions if partition not in ends.earliest]:
            raise UnknownTopicOrPartitionError(f"{missing}")
        starts = {partition: self._start(consumer, partition, committed[partition], ends) for partition in partitions}
        self._known |= starts
        return starts, {partition: ends.latest[partition] for partition in partitions}

    def take_note(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """Remember what this process has committed."""
        for partition, after in offsets.items():
            self._known[partition] = after.offset

    def _committed(self, consumer: KafkaConsumer, partition: TopicPartition) -> OffsetAndMetadata | None:
        try:
            committed = consumer.committed(partition, metadata=True, timeout_ms=ROUND_TRIP_MS)
        except KafkaTimeoutError:
            raise KafkaTimeoutError(
                f"the committed offset of {partition.topic}/{partition.partition} cannot be had: an open transaction "
                "of another worker holds it until it times out, or the broker is away"
            ) from None
        known, now = self._known.get(partition, 0), committed.offset if committed else 0
        if now < known:
            # Kafka 4.4.0, restarted: without a write to that partition of its offsets it goes on answering with what it
            # had half-way through loading them, or with nothing (probed). Joining the group is such a write.
            raise KafkaError(
                f"the committed offset of {partition.topic}/{partition.partition} went back from {known} to {now}: the "
                "broker has lost it, or not loaded it yet; going on there would label posts twice"
            )
        return committed

    def _look_again(self) -> None:
        now = topic_id_of(self._admin, self._topic)
        if now != self._topic_id:
            event(
                log, logging.WARNING, "the topic was deleted and created anew: going on with the new one", stage="read",
                topic=self._topic, before=self._topic_id, now=now,
            )  # fmt: skip
            self._topic_id = now
            self._said.clear()
            self._known.clear()

    def _start(
        self, consumer: KafkaConsumer, partition: TopicPartition, committed: OffsetAndMetadata | None, ends: Ends
    ) -> int:
        beginning, end = ends.earliest[partition], ends.latest[partition]
        if committed is None:
            return beginning
        of = committed.metadata.removeprefix(_ID) if (committed.metadata or "").startswith(_ID) else self._topic_id
        if of == self._topic_id and beginning <= committed.offset <= end:
            return int(committed.offset)
        if (partition, beginning) in self._said:
            return beginning
        self._said.add((partition, beginning))
        if of == self._topic_id and committed.offset < beginning:
            what, passed = "records expired before they were read", beginning - committed.offset
        else:
            # How many the old topic still held is not known: at least the alert must fire.
            what, passed = "the committed offset is of an earlier topic of this name: going on at the beginning", 1
        self._metrics.expired.labels(str(partition.partition)).inc(passed)
        event(
            log, logging.WARNING, what, stage="read", topic=partition.topic, partition=partition.partition,
            committed=committed.offset, going_on_at=beginning, passed=passed,
        )  # fmt: skip
        self._remember(consumer, partition, beginning)
        return beginning

    def _remember(self, consumer: KafkaConsumer, partition: TopicPartition, beginning: int) -> None:
        """Commit the new beginning, so that no restart and no other worker warns and counts again."""
        try:
            consumer.commit({partition: self.after(beginning - 1)}, timeout_ms=ROUND_TRIP_MS)
        except KafkaError as error:  # a rebalance is under way: whoever has the partition next says it again
            event(log, logging.DEBUG, "the new beginning is not committed", why=error)
