"""Stage `publish` against a producer that loses records: nothing is committed unless every send has arrived."""

import math
from dataclasses import dataclass
from typing import Any
from unittest.mock import Mock

import pytest
from kafka import ConsumerGroupMetadata, OffsetAndMetadata, TopicPartition
from kafka.errors import ClusterAuthorizationFailedError, KafkaTimeoutError

from consumer.label import publish as publishing
from consumer.label.batch import Batch
from consumer.label.publish import LeadersChanged, Outgoing, Sink
from consumer.label.settings import LabelSettings
from tests.unit.consumer.label.records import record


class LosingProducer:
    """As kafka-python's: it commits happily what is left of a transaction that has lost a record."""

    def __init__(self, lost: set[bytes]) -> None:
        self.lost = lost
        self.steps: list[str] = []

    def begin_transaction(self) -> None:
        self.steps.append("begin")

    def send(self, topic: str, value: bytes, key: bytes, headers: Any, partition: int) -> Mock:
        self.steps.append(f"send {key.decode()}")
        return Mock(**{"get.side_effect": KafkaTimeoutError("expired") if key in self.lost else None})

    def send_offsets_to_transaction(self, offsets: Any, group: ConsumerGroupMetadata) -> None:
        self.steps.append(f"offsets of generation {group.generation_id}")

    def commit_transaction(self) -> None:
        self.steps.append("commit")


class BareSink(Sink):
    """Without a broker."""

    def __init__(self, producer: Any) -> None:
        self._settings = LabelSettings.model_validate({"replica": "own"})
        self._producer = producer
        self._open = False
        self._look_again_at = math.inf


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


class Cluster:
    """An admin client of a cluster whose partition 1 of every topic has this leader epoch; the group has one worker."""

    epoch = 4

    def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
        partitions = [{"partition_index": 0, "leader_epoch": 7}, {"partition_index": 1, "leader_epoch": self.epoch}]
        return [{"name": name, "partitions": partitions} for name in names]

    def list_groups(self) -> list[dict[str, Any]]:
        return [{"group_id": name} for name in ("placestream", "placestream-2", "else")]

    def describe_groups(self, names: list[str]) -> dict[str, Any]:
        return {name: {"members": [{"client_id": "placestream-living"}]} for name in names}


class WatchingSink(BareSink):
    """Builds producers that do nothing, and remembers of which names."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(LosingProducer(set()))
        self._admin = cluster
        self._leaders = self._epochs()
        self.built: list[str] = []

    def _build(self, name: str) -> Any:
        self.built.append(name)
        return LosingProducer(set())


@dataclass
class Watch:
    """A sink, its cluster, what hangs there, and the time."""

    cluster: Cluster
    sink: WatchingSink
    hanging: list[str]
    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    cluster = Cluster()
    watch = Watch(cluster, WatchingSink(cluster), [])
    monkeypatch.setattr(publishing, "close_at_once", lambda producer: None)
    monkeypatch.setattr(publishing, "orphaned_ids", lambda admin, topics: watch.hanging)
    monkeypatch.setattr(publishing, "time", watch)
    return watch


def test_a_leader_that_changed_is_seen_before_a_transaction_and_leads_to_a_new_producer(watch: Watch) -> None:
    watch.sink.check()
    watch.sink.recover()
    assert watch.sink.built == []

    watch.cluster.epoch = 6
    with pytest.raises(LeadersChanged):
        watch.sink.check()
    watch.sink.recover()

    watch.sink.check()
    assert watch.sink.built == ["placestream-own"]


def test_what_the_dead_left_is_ended_after_a_leader_changed_and_once_more_when_it_must_have_timed_out(
    watch: Watch,
) -> None:
    watch.hanging = ["placestream-dead"]
    watch.cluster.epoch = 6
    watch.sink.recover()
    assert watch.sink.built == ["placestream-own", "placestream-dead"]

    watch.now += 2 * watch.sink._settings.publish_timeout - 1
    watch.sink.check()
    assert len(watch.sink.built) == 2
    watch.now += 2
    watch.sink.check()
    watch.sink.check()
    assert watch.sink.built == ["placestream-own", "placestream-dead", "placestream-dead"]


def test_the_living_other_groups_and_strangers_are_let_alone(watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    watch.hanging = ["placestream-own", "placestream-living", "placestream-2-host", "posts-dlt-replay", "placestream-x"]

    watch.sink.abort_orphaned_transactions()

    assert watch.sink.built == ["placestream-x"]
    assert [record.fields["of"] for record in caplog.records] == watch.hanging[:-1]  # type: ignore[attr-defined]


def test_without_the_right_to_look_it_goes_on(
    watch: Watch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(admin: Cluster, topics: list[str]) -> list[str]:
        raise ClusterAuthorizationFailedError

    monkeypatch.setattr(publishing, "orphaned_ids", refuse)

    watch.sink.abort_orphaned_transactions()

    assert "may not look for transactions" in caplog.text
