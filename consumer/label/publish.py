"""Stage `publish`: the transactional producer. All that a batch yields, and its offsets, become visible together.

The traps of kafka-python that shape this file are listed in `consumer/kafka/README.md`.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from consumer.dead_letter import DeadLetter, LeftOut, to_record
from consumer.encoded_post import EncodedPost
from consumer.kafka.orphans import CANNOT_LOOK, orphaned_ids, say_that_it_cannot_look
from consumer.kafka.transactions import build_producer, record_size, wait_for_all
from consumer.label.batch import Batch
from consumer.label.group import build_admin
from consumer.label.preflight import Topics
from consumer.label.settings import WorkerSettings
from consumer.labeled_post import LabeledPost, WrittenPost
from consumer.origin import Origin
from producer.base.connect import close_at_once, connect
from producer.base.logs import event

log = logging.getLogger(__name__)

OFFSETS_TOPIC = "__consumer_offsets"
"""Kafka's own topic of committed offsets: they are part of the transactions, and hang with them."""

Outcome = LabeledPost | WrittenPost | DeadLetter


class LeadersChanged(KafkaError):  # type: ignore[misc]  # kafka-python has no types
    """A broker has gone or come back: it may have forgotten to end a transaction."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record on its way out: to the partition number that its post came from."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]

    @property
    def size(self) -> int:
        """Upper bound of the record's size in bytes."""
        return record_size(self.key, self.value, self.headers)


class Sink:
    """The outputs: labels, dead letters and, where there is a topic, vectors. Owned by the main thread."""

    def __init__(self, settings: WorkerSettings, topics: Topics) -> None:
        """Connect and end what a predecessor of the same name left open.

        Raises:
            CommandError: the broker cannot be reached.
        """
        self._settings = settings
        self._topics = topics
        self._open = False  # whether a transaction may be open
        self._leaders: dict[tuple[str, int], int] = {}  # output partition -> epoch of its leader, at the last build
        self._look_again_at = math.inf  # monotonic; every transaction of before has timed out, and hangs if ever
        self._admin = build_admin(settings)
        self._producer = connect(settings, self._build_own)
        connect(settings, self.abort_orphaned_transactions)

    def outgoing(
        self,
        batch: Batch,
        outcomes: Sequence[Outcome],
        is_too_slow: Callable[[Any], bool],
        encoded: Mapping[int, EncodedPost],
    ) -> tuple[list[Outgoing], list[Outcome]]:
        """The records to send, and the outcomes they stand for.

        Args:
            batch: where they come from.
            outcomes: of its records; a label too large for its topic becomes a dead letter.
            is_too_slow: whether the line is, for a record: it becomes a dead letter without its value.
            encoded: what is published beside the labels of posts, by their number in the batch: their vectors.
        """
        records, final = [], []
        for number, (record, outcome) in enumerate(zip(batch.records, outcomes, strict=True)):
            out, settled = self._fitting(record, outcome, batch.topic_id, is_too_slow(record))
            records.append(out)
            final.append(settled)
            if number in encoded and not isinstance(settled, DeadLetter):
                records.append(self._made_of(record, encoded[number], batch.topic_id))
        return records, final

    def publish(self, batch: Batch, records: Sequence[Outgoing]) -> None:
        """Publish all records and commit the batch's offsets, or nothing.

        Raises:
            KafkaError: any refusal. The caller recovers: the records come again.
        """
        self._open = True
        self._producer.begin_transaction()
        sent = [
            self._producer.send(out.topic, out.value, out.key, out.headers, partition=out.partition) for out in records
        ]
        wait_for_all(sent, self._settings.delivery_ms / 1000)
        self._producer.send_offsets_to_transaction(batch.offsets, batch.group)
        self._producer.commit_transaction()
        self._open = False

    def check(self) -> None:
        """Make sure, before a transaction begins, that nothing of the last one hangs: see `consumer/kafka/orphans.py`.

        Raises:
            LeadersChanged: it may.
            KafkaError: the broker does not answer.
        """
        if self._epochs() != self._leaders:
            raise LeadersChanged("an output's partition has another leader, or the same one again")
        if time.monotonic() > self._look_again_at:
            self._look_again_at = math.inf
            self.abort_orphaned_transactions()

    def recover(self) -> None:
        """After a failure: a new producer under the same transactional id, which ends what may be open.

        Raises:
            KafkaError: the broker does not answer; call again.
        """
        if self._open or self._epochs() != self._leaders:
            self._open = True  # until all of it has ended well
            close_at_once(self._producer)
            self._producer = self._build_own()
            self._open = False
            self.abort_orphaned_transactions()

    def abort_orphaned_transactions(self) -> None:
        """End the transactions of workers of the group that do not come back: they hide what follows them.

        Raises:
            KafkaError: the broker does not answer; call again.
        """
        try:
            for name in orphaned_ids(self._admin, [*self._outputs, self._settings.input_topic, OFFSETS_TOPIC]):
                if self._is_orphaned(name):
                    close_at_once(self._build(name))
                else:
                    event(log, logging.WARNING, "a transaction hangs that is not of this group's dead", of=name)
        except CANNOT_LOOK as error:
            say_that_it_cannot_look(error)

    def has_twin(self, batch: Batch) -> bool:
        """Whether another living member of the group has this worker's name.

        Args:
            batch: says who we are.

        Raises:
            KafkaError: the broker does not answer.
        """
        own = (self._settings.member, batch.group.member_id)
        return any(member["client_id"] == own[0] and member["member_id"] != own[1] for member in self._members())

    def _is_orphaned(self, transactional_id: str) -> bool:
        """Whether its worker, of this group, is gone; living workers end their own transactions."""
        group = self._settings.group_id
        others = {each["group_id"] for each in self._admin.list_groups()} - {group}
        if any(each.startswith(f"{group}-") and transactional_id.startswith(f"{each}-") for each in others):
            return False
        alive = {member["client_id"] for member in self._members()} | {self._settings.member}
        return transactional_id.startswith(f"{group}-") and transactional_id not in alive

    def _members(self) -> list[dict[str, Any]]:
        group = self._settings.group_id
        return list(self._admin.describe_groups([group])[group]["members"])

    def close(self) -> None:
        """Close the producer; nothing is in flight then."""
        if self._open:
            close_at_once(self._producer)
        else:
            self._producer.close(timeout=5)
        self._admin.close()

    def _build_own(self) -> KafkaProducer:
        leaders = self._epochs()  # before: what changes from now on is seen by `check`
        producer = self._build(self._settings.member)
        self._leaders, self._look_again_at = leaders, time.monotonic() + 2 * self._settings.publish_timeout
        return producer

    def _build(self, name: str) -> KafkaProducer:
        topics = [*self._outputs, OFFSETS_TOPIC]
        return build_producer(self._settings, self._admin, name, topics, self._topics.largest_limit)

    @property
    def _outputs(self) -> list[str]:
        outputs = [self._settings.output_topic, self._settings.dead_letter_topic]
        return [*outputs, self._settings.vectors_output] if self._settings.vectors_output else outputs

    def _epochs(self) -> dict[tuple[str, int], int]:
        return {
            (topic["name"], partition["partition_index"]): partition["leader_epoch"]
            for topic in self._admin.describe_topics(self._outputs)
            for partition in topic["partitions"]
        }

    def _fitting(self, record: Any, outcome: Outcome, topic_id: str, is_too_slow: bool) -> tuple[Outgoing, Outcome]:
        if is_too_slow:
            why = f"not taken within {self._settings.publish_timeout:g} s (PUBLISH_TIMEOUT)"
            return self._without_value(record, outcome, topic_id, why)
        if not isinstance(outcome, DeadLetter):
            out = self._made_of(record, outcome, topic_id)
            if out.size <= self._topics.output_limit:
                return out, outcome
            outcome = DeadLetter(
                "output_too_large",
                "MessageSizeTooLarge",
                f"the labelled post has up to {out.size} bytes; {out.topic} takes {self._topics.output_limit}",
            )
        out = self._dead(record, outcome, topic_id)
        limit = self._topics.dead_letter_limit
        if out.size > limit:
            why = f"the dead letter has up to {out.size} bytes; {out.topic} takes {limit}"
            return self._without_value(record, outcome, topic_id, why)
        return out, outcome

    def _without_value(self, record: Any, outcome: Outcome, topic_id: str, why: str) -> tuple[Outgoing, DeadLetter]:
        if isinstance(outcome, DeadLetter):
            why = f"{why}; it died of {outcome.reason}: {outcome.message}"
        dead = DeadLetter.without(LeftOut.everything(record, why))
        return self._dead(record, dead, topic_id), dead

    def _dead(self, record: Any, dead: DeadLetter, topic_id: str) -> Outgoing:
        key, value, headers = to_record(record, dead, self._settings.group_id, topic_id)
        return Outgoing(self._settings.dead_letter_topic, record.partition, key, value, headers)

    def _made_of(self, record: Any, made: LabeledPost | WrittenPost | EncodedPost, topic_id: str) -> Outgoing:
        topic = self._settings.vectors_output if isinstance(made, EncodedPost) else self._settings.output_topic
        assert topic is not None  # else nobody makes vectors
        traceparent = next((value for name, value in reversed(record.headers or ()) if name == "traceparent"), None)
        headers = made.headers(Origin.of(self._settings.group_id, record), traceparent, topic_id)
        return Outgoing(topic, record.partition, made.post_id.encode(), made.to_value(), headers)
