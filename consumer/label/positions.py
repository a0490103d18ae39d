"""Where each partition goes on: what is committed, unless the broker forgot it or it is no longer there.

Nothing is passed over silently: every case has a warning, and lost records count in ``expired_records_total``.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace

from kafka import KafkaAdminClient, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError, UnknownTopicOrPartitionError

from consumer.kafka.offsets import ROUND_TRIP_MS, Ends, ends_of, is_same_topic, topic_id_of
from consumer.label.offset_metadata import Note
from consumer.label.published import Published
from consumer.metrics import LabelMetrics
from producer.base.logs import event

log = logging.getLogger(__name__)


class Positions:
    """The starting offsets of one topic. Owned by the main thread."""

    def __init__(self, admin: KafkaAdminClient, published: Published, topic: str, metrics: LabelMetrics) -> None:
        """Look at the topic.

        Args:
            admin: asks the broker.
            published: knows what came out.
            topic: the input topic.
            metrics: where what was passed over is counted.

        Raises:
            KafkaError: the broker did not answer, or has no such topic.
        """
        self._admin = admin
        self._published = published
        self._topic = topic
        self._metrics = metrics
        self._topic_id = topic_id_of(admin, topic)
        self._said: set[tuple[TopicPartition, int]] = set()  # partition and beginning that were warned of
        self._known: dict[TopicPartition, int] = {}  # where each stood when this process last committed or asked
        self.notes: dict[TopicPartition, Note] = {}
        """What was noted where each assigned partition goes on, as `choose_starts` found it."""

    @property
    def topic_id(self) -> str:
        """The topic's id at the last look."""
        return self._topic_id

    def is_recreated(self) -> bool:
        """Whether the topic is another one than at the last look: deleted and recreated under its name.

        Raises:
            KafkaError: the broker did not answer, or has no such topic now.
        """
        return not is_same_topic(topic_id_of(self._admin, self._topic), self._topic_id)

    def look_again(self) -> None:
        """Go on with the topic that the name means now.

        Raises:
            KafkaError: the broker did not answer, or has no such topic now.
        """
        now = topic_id_of(self._admin, self._topic)
        if is_same_topic(now, self._topic_id):
            return
        event(
            log,
            logging.WARNING,
            "the topic was deleted and recreated: going on with the new one",
            stage="read",
            topic=self._topic,
            before=self._topic_id,
            now=now,
        )
        self._topic_id = now
        self._said.clear()
        self._known.clear()

    def after(self, offset: int) -> OffsetAndMetadata:
        """The offset to commit after a record.

        It carries the topic's id: of another topic it says nothing (consumer/kafka/README.md, fact 17).
        """
        return self.at(offset + 1, Note())

    def at(self, offset: int, note: Note) -> OffsetAndMetadata:
        """An offset and a note as they are committed."""
        return OffsetAndMetadata(offset, replace(note, topic_id=self._topic_id).to_metadata(), -1)

    def choose_starts(self, consumer: KafkaConsumer) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
        """Choose where each assigned partition goes on; and where it ends now.

        Raises:
            KafkaError: the broker did not answer, or a partition is no longer there.
        """
        partitions = sorted(consumer.assignment())
        self.notes = {}
        if not partitions:
            return {}, {}
        committed = {partition: self._committed(consumer, partition) for partition in partitions}
        self._go_beyond(committed)
        # Afterwards: what others commit in between would lie beyond ends that were asked for before.
        ends = ends_of(self._admin, self._topic)
        if missing := [partition for partition in partitions if partition not in ends.earliest]:
            raise UnknownTopicOrPartitionError(f"{missing}")
        starts = {partition: self._start(consumer, partition, committed[partition], ends) for partition in partitions}
        self.notes = {
            partition: Note.of(at.metadata) if at and at.offset == starts[partition] else Note()
            for partition, at in committed.items()
        }
        self._known |= {partition: start for partition, start in starts.items() if committed[partition] is not None}
        return starts, {partition: ends.latest[partition] for partition in partitions}

    def record_commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """Record what this process has committed."""
        for partition, after in offsets.items():
            self._known[partition] = after.offset

    def _committed(self, consumer: KafkaConsumer, partition: TopicPartition) -> OffsetAndMetadata | None:
        try:
            committed: OffsetAndMetadata | None = consumer.committed(partition, metadata=True, timeout_ms=ROUND_TRIP_MS)
        except KafkaTimeoutError:
            raise KafkaTimeoutError(
                f"the committed offset of {partition.topic}/{partition.partition} cannot be had: an open transaction "
                "of another worker holds it until it times out, or the broker is away"
            ) from None
        return committed

    def _go_beyond(self, committed: dict[TopicPartition, OffsetAndMetadata | None]) -> None:
        """Put what is known to have come out in the place of what the broker has forgotten of it."""
        said = {
            partition: after.offset if after else 0
            for partition, after in committed.items()
            if after is None or self._is_ours(after)
        }
        known = {partition: max(offset, self._known.get(partition, 0)) for partition, offset in said.items()}
        for partition, offset in (known | self._published.beyond(known, self._topic_id)).items():
            if offset > said[partition]:
                committed[partition] = self.after(offset - 1)
                event(
                    log,
                    logging.WARNING,
                    "the committed offset went back: going on after what came out",
                    stage="read",
                    topic=partition.topic,
                    partition=partition.partition,
                    committed=said[partition],
                    going_on_at=offset,
                )

    def _is_ours(self, committed: OffsetAndMetadata) -> bool:
        """Whether an offset was committed for this topic, as far as it says."""
        return is_same_topic(Note.of(committed.metadata).topic_id, self._topic_id)

    def _start(
        self, consumer: KafkaConsumer, partition: TopicPartition, committed: OffsetAndMetadata | None, ends: Ends
    ) -> int:
        beginning, end = ends.earliest[partition], ends.latest[partition]
        if committed is None:
            return beginning
        is_ours = self._is_ours(committed)
        if is_ours and beginning <= committed.offset <= end:
            return int(committed.offset)
        going_on_at = beginning
        if is_ours and committed.offset < beginning:
            what, passed = "records expired before they were read", beginning - committed.offset
        elif is_ours and Note.of(committed.metadata).topic_id:
            # From the beginning everything would come twice. What is new below the end it has lost with the others.
            what, going_on_at, passed = "the broker lost records: going on at the end", end, committed.offset - end
        else:
            # How many the old topic still held is not known: at least the alert must fire.
            whose = "an earlier topic of this name" if self._topic_id else "an earlier topic, or its records were lost"
            what, passed = f"the committed offset is of {whose}: going on at the beginning", 1
        if (partition, going_on_at) in self._said:
            return going_on_at
        self._said.add((partition, going_on_at))
        self._metrics.expired.labels(str(partition.partition)).inc(passed)
        event(
            log,
            logging.WARNING,
            what,
            stage="read",
            topic=partition.topic,
            partition=partition.partition,
            committed=committed.offset,
            going_on_at=going_on_at,
            passed=passed,
        )
        self._remember(consumer, partition, going_on_at)
        return going_on_at

    def _remember(self, consumer: KafkaConsumer, partition: TopicPartition, offset: int) -> None:
        """Commit it, so that no restart and no other worker warns and counts again."""
        try:
            consumer.commit({partition: self.after(offset - 1)}, timeout_ms=ROUND_TRIP_MS)
        except KafkaError as error:  # a rebalance is under way: whoever has the partition next says it again
            event(log, logging.DEBUG, "where it goes on is not committed", why=error)
