"""Stage `publish` against a producer that loses records: nothing is committed unless every send has arrived."""

from typing import Any

import pytest
from kafka import ConsumerGroupMetadata, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaTimeoutError

from consumer.label.batch import Batch
from consumer.label.publish import LeadersChanged, Outgoing, Sink
from consumer.label.settings import LabelSettings
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


class Leaders:
    """An admin client of a cluster whose partition 1 of every topic has this leader epoch."""

    epoch = 4

    def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
        partitions = [{"partition_index": 0, "leader_epoch": 7}, {"partition_index": 1, "leader_epoch": self.epoch}]
        return [{"name": name, "partitions": partitions} for name in names]


class WatchingSink(BareSink):
    """Builds producers that do nothing, and counts them."""

    def __init__(self, admin: Leaders) -> None:
        super().__init__(LosingProducer(set()))
        self._settings = LabelSettings.model_validate({})
        self._admin = admin
        self._leaders = self._epochs()
        self.built = 0

    def _build(self, name: str) -> Any:
        self.built += 1
        return LosingProducer(set())


def test_a_leader_that_changed_is_seen_before_a_transaction_and_leads_to_a_new_producer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("consumer.label.publish.close_at_once", lambda producer: None)
    admin = Leaders()
    sink = WatchingSink(admin)
    sink.check()
    sink.recover()
    assert sink.built == 0

    admin.epoch = 6
    with pytest.raises(LeadersChanged):
        sink.check()
    sink.recover()

    sink.check()
    assert sink.built == 1
