from typing import Any

from kafka import TopicPartition
from kafka.admin import AbortTransactionSpec, PartitionProducerState, ProducerState

from consumer.hanging import end_hanging


class Admin:
    """A broker on which producer 7 is ours: partition 0 is clean, in 1 a transaction of ours hangs, in 2 another's."""

    def __init__(self) -> None:
        self.aborted: list[AbortTransactionSpec] = []

    def describe_transactions(self, ids: list[str]) -> dict[str, Any]:
        class Ours:
            producer_id = 7

        return dict.fromkeys(ids, Ours)

    def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
        return [{"name": name, "partitions": [{"partition_index": number} for number in range(3)]} for name in names]

    def describe_producers(self, partitions: list[TopicPartition]) -> dict[TopicPartition, PartitionProducerState]:
        states = [ProducerState(7, 4, 9, 0, 2, -1), ProducerState(7, 3, 9, 0, 2, 32), ProducerState(8, 0, 9, 0, 2, 5)]
        return {tp: PartitionProducerState([states[tp.partition]]) for tp in partitions}

    def abort_transaction(self, spec: AbortTransactionSpec) -> None:
        self.aborted.append(spec)


def test_only_what_hangs_of_the_own_id_is_ended() -> None:
    admin = Admin()

    assert end_hanging(admin, "ours", ["posts"]) == [TopicPartition("posts", 1)]
    assert admin.aborted == [AbortTransactionSpec(TopicPartition("posts", 1), 7, 3, 2)]
