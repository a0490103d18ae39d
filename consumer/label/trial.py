"""Finds the record that ends worker after worker: each suspect is tried alone, and dies with the third that dies of it.

A worker that is killed says nothing. So whoever is given a partition notes in its committed offset that it has begun
there; progress overwrites the note, and who leaves cleanly erases it. A note of a member that is gone means that
it died before it got on. Then records are labelled one by one, each noted before it is tried: only a record that was
tried alone is ever condemned, for a batch does not say which of its records was to blame.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress

from kafka import KafkaAdminClient, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError

from consumer.kafka.offsets import ROUND_TRIP_MS
from consumer.label.offset_metadata import Note
from producer.base.logs import event

log = logging.getLogger(__name__)

MOST_DEATHS = 3
"""Of members that had a record alone, after which it becomes a dead letter. Who kills a worker is not known: an
operator, a probe, the memory killer, or the record."""


class Trials:
    """The suspects among the records of the assigned partitions. Owned by the main thread."""

    def __init__(
        self, admin: KafkaAdminClient, group_id: str, at: Callable[[int, Note], OffsetAndMetadata], span: int
    ) -> None:
        """Begin without any.

        Args:
            admin: asks who is in the group.
            group_id: of the workers.
            at: an offset and a note as they are committed.
            span: records from a committed offset on that a worker may have had in hand when it died.
        """
        self._admin = admin
        self._group_id = group_id
        self._as_committed = at
        self._span = span
        self._own: set[str] = set()  # member ids that this process has had
        self._stands: dict[TopicPartition, int] = {}  # what is committed of each partition
        self._notes: dict[TopicPartition, Note] = {}  # and what we have noted there, where records waited
        self._suspects: dict[TopicPartition, int] = {}  # partition -> offset after its last suspect

    @property
    def is_on(self) -> bool:
        """Whether records must be tried one by one."""
        return bool(self._suspects)

    def begin(
        self,
        consumer: KafkaConsumer,
        found: Mapping[TopicPartition, Note],
        starts: Mapping[TopicPartition, int],
        latest: Mapping[TopicPartition, int],
    ) -> None:
        """Look at the notes of what was assigned, and write our own where records wait.

        Args:
            consumer: in the group.
            found: what was noted where each partition goes on.
            starts: where that is.
            latest: where each ends.

        Raises:
            KafkaError: the broker did not answer, or the group has moved on.
        """
        member = consumer.group_metadata().member_id
        self._own.add(member)
        others = {note.by for note in found.values() if note.by} - self._own
        dead = others - self._members() if others else others
        self._stands = dict(starts)
        self._suspects = {partition: end for partition, end in self._suspects.items() if partition in starts}
        self._notes = {}
        for partition, note in found.items():
            tries = note.tries + (note.by in dead and note.is_trying)
            if note.by in dead:
                self._suspects[partition] = starts[partition] + self._span
                event(
                    log,
                    logging.WARNING,
                    "a worker died here before it got on: records are tried one by one",
                    stage="encode",
                    partition=partition.partition,
                    offset=starts[partition],
                    died_alone=tries,
                )
            if latest[partition] > starts[partition]:
                self._notes[partition] = Note(by=member, tries=tries)
        self._write(consumer, self._notes)

    def try_alone(self, consumer: KafkaConsumer, partition: TopicPartition) -> bool:
        """Note that the next record of a partition is tried, and no other; or condemn it.

        Returns:
            Whether it is condemned: it must not be tried again.

        Raises:
            KafkaError: the broker did not answer, or the group has moved on.
        """
        tries = self._notes.get(partition, Note()).tries
        if tries >= MOST_DEATHS:
            return True
        self._notes[partition] = Note(consumer.group_metadata().member_id, tries, is_trying=True)
        self._write(consumer, {partition: self._notes[partition]})
        return False

    def record_commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """Record what is committed: our notes there are overwritten."""
        for partition, after in offsets.items():
            self._stands[partition] = after.offset
            self._notes.pop(partition, None)
            if after.offset >= self._suspects.get(partition, after.offset):
                self._suspects.pop(partition, None)

    def clear_suspects(self) -> None:
        """Suspect no record any longer: the worker is idle, so every suspect is done."""
        self._suspects.clear()

    def release(self, consumer: KafkaConsumer) -> None:
        """Erase our notes: this process ends cleanly, or for no fault of a record."""
        with suppress(KafkaError):  # then the next worker tries some records one by one, for nothing
            self._write(consumer, {each: Note(tries=note.tries) for each, note in self._notes.items()})

    def _write(self, consumer: KafkaConsumer, notes: Mapping[TopicPartition, Note]) -> None:
        if notes:
            offsets = {each: self._as_committed(self._stands[each], note) for each, note in notes.items()}
            consumer.commit(offsets, timeout_ms=ROUND_TRIP_MS)

    def _members(self) -> set[str]:
        members = self._admin.describe_groups([self._group_id])[self._group_id]["members"]
        return {member["member_id"] for member in members}
