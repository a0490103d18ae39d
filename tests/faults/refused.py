"""`tests.light` in which one publish fails at the real broker while the next batch is in the model.

`python -m tests.faults.refused FLAGS…`; FAULTS_REFUSAL says how, one of the four below.
"""

import os
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, MemberToRemove
from kafka.errors import KafkaError, KafkaTimeoutError

from consumer.label.batch import Batch
from consumer.label.encode import Inference, InFlight
from consumer.label.publish import Outgoing, Sink
from producer.topics import LABEL_LIMIT
from tests.light import run

EXPIRES = "a send expires"
LARGE = "a label is too large"
STALE = "the offsets are stale"
FENCED = "the producer is fenced"
REFUSAL = os.environ.get("FAULTS_REFUSAL")
BUSY = 0.2
"""Seconds that the model takes for a batch until a publish has failed."""
failed = threading.Event()


class SlowInference(Inference[Any]):
    """Inference that is still busy with a batch when the one before it is published."""

    newest: InFlight | None = None

    def start(self, batch: Batch) -> InFlight:
        if REFUSAL:
            self._model.submit(failed.wait, BUSY)
        SlowInference.newest = super().start(batch)
        return SlowInference.newest


class RefusedSink(Sink):
    """A sink one of whose publishes the broker refuses."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._kept_back: list[Any] = []  # the futures of records that expire

    def publish(self, batch: Batch, records: Sequence[Outgoing]) -> None:
        behind = SlowInference.newest
        if failed.is_set() or behind is None or behind.batch is batch or behind.done():
            super().publish(batch, records)
            return
        try:
            self._provoke(batch, records)
            super().publish(batch, records)
        except KafkaError:
            failed.set()
            if REFUSAL == EXPIRES:
                expired = sum(isinstance(future.exception, KafkaTimeoutError) for future in self._kept_back)
                print(f"expired: {expired} of {len(self._kept_back)} kept back, {len(records)} in all", flush=True)
            print(f"refused: {REFUSAL}; posts {keys(batch)}; in the model {keys(behind.batch)}", flush=True)
            raise
        finally:
            if REFUSAL == LARGE:
                self._limit_labels(LABEL_LIMIT)

    def _provoke(self, batch: Batch, records: Sequence[Outgoing]) -> None:
        if REFUSAL == EXPIRES:
            self._let_some_expire(records)
        elif REFUSAL == LARGE:
            self._limit_labels(1)
        elif REFUSAL == STALE:  # the group's coordinator forgets this member
            with self._ask() as admin:
                admin.remove_group_members(batch.group.group_id, [MemberToRemove(batch.group.member_id)])
        elif REFUSAL == FENCED:  # another producer takes the transactional id
            with closing(KafkaProducer(**self._settings.kafka(), transactional_id=self._settings.member)) as other:
                other.init_transactions()

    def _let_some_expire(self, records: Sequence[Outgoing]) -> None:
        """The producer does not send what goes to one partition, and takes it for older than its delivery timeout.

        All the rest it sends. The producer that the worker builds afterwards is a usual one.
        """
        partitions = Counter(TopicPartition(out.topic, out.partition) for out in records)
        if len(partitions) < 2:
            return  # wait for a batch of which only some can expire
        partition, _ = partitions.most_common()[-1]
        accumulator = self._producer._accumulator
        append, long_ago = accumulator.append, time.monotonic() - self._settings.delivery_ms / 1000

        def append_long_ago(to: TopicPartition, *arguments: Any, **options: Any) -> Any:
            if to != partition:
                return append(to, *arguments, **options)
            appended = append(to, *arguments, **options | {"now": long_ago})
            if appended[0]:  # none where the batch was full: it is asked again
                self._kept_back.append(appended[0])
            return appended

        accumulator.muted.add(partition)
        accumulator.append = append_long_ago

    def _limit_labels(self, size: int) -> None:
        topic = self._settings.output_topic
        with self._ask() as admin:
            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": str(size)})])

    def _ask(self) -> KafkaAdminClient:
        return KafkaAdminClient(**self._settings.kafka())


def keys(batch: Batch) -> str:
    return " ".join(record.key.decode() for record in batch.records)


if __name__ == "__main__":
    run(inference_type=SlowInference, sink_type=RefusedSink)
