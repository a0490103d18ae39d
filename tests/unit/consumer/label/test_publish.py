"""Stage `publish` against a producer that loses records: nothing is committed unless every send has arrived."""

from typing import Any

import pytest
from kafka import ConsumerGroupMetadata, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaTimeoutError

from consumer.label.publish import Outgoing, Sink
from consumer.label.read import Batch
from tests.unit.consumer.label.records import record


class Sent:
    """The future of a send that has ended."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def get(self, timeout: float) -> None:
        if self.error:
            raise self.error


class LosingProducer:
    """As kafka-python's: it commits happily what is left of a transaction that has lost a record."""

    def __init__(self, lost: set[bytes]) -> None:
        self.lost = lost
        self.steps: list[str] = []

    def begin_transaction(self) -> None:
        self.steps.append("begin")

    def send(self, topic: str, value: bytes, key: bytes, headers: Any, partition: int) -> Sent:
        self.steps.append(f"send {key.decode()}")
        return Sent(KafkaTimeoutError("expired") if key in self.lost else None)

    def send_offsets_to_transaction(self, offsets: Any, group: ConsumerGroupMetadata) -> None:
        self.steps.append(f"offsets of generation {group.generation_id}")

    def commit_transaction(self) -> None:
        self.steps.append("commit")


class BareSink(Sink):
    """Without a broker."""

    def __init__(self, producer: Any) -> None:
        self._producer = producer
        self._open = False


def publish(producer: LosingProducer) -> None:
    offsets = {TopicPartition("posts", 0): OffsetAndMetadata(2, "", -1)}
    batch = Batch((record(0, b""), record(1, b"")), offsets, ConsumerGroupMetadata("g", 5, "m"), "size")
    records = [Outgoing("labeled-posts", 0, key, b"{}", []) for key in (b"0", b"1")]
    BareSink(producer).publish(batch, records)


def test_labels_then_offsets_of_the_batchs_generation_then_the_commit() -> None:
    producer = LosingProducer(set())

    publish(producer)

    assert producer.steps == ["begin", "send 0", "send 1", "offsets of generation 5", "commit"]


@pytest.mark.parametrize("lost", [b"0", b"1"])
def test_nothing_is_committed_when_a_send_has_failed(lost: bytes) -> None:
    producer = LosingProducer({lost})

    with pytest.raises(KafkaTimeoutError):
        publish(producer)

    assert producer.steps == ["begin", "send 0", "send 1"]
