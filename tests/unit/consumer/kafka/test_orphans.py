from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.admin import AbortTransactionSpec, PartitionProducerState, ProducerState, TransactionState
from kafka.errors import ClusterAuthorizationFailedError, TransactionalIdNotFoundError

from consumer.kafka import orphans
from consumer.kafka.orphans import init_transactions, orphaned_ids

MARKED = AbortTransactionSpec(TopicPartition("posts", 1), 7, 3, 2)


class Admin:
    """A broker on which producer 7 is ours: partition 0 is clean, in 1 one of ours is open, in 2 another's."""

    def __init__(self, state: TransactionState | None) -> None:
        self.state = state
        self.initialised = False
        self.aborted: list[AbortTransactionSpec] = []
        self.start = 32

    def init_transactions(self) -> None:
        self.initialised = True
        self.state = TransactionState.EMPTY

    def describe_transactions(self, ids: list[str]) -> dict[str, Any]:
        if self.state is None:
            raise TransactionalIdNotFoundError
        return dict.fromkeys(ids, SimpleNamespace(producer_id=7, state=self.state))

    def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
        return [{"name": name, "partitions": [{"partition_index": number} for number in range(3)]} for name in names]

    def describe_producers(self, partitions: list[TopicPartition]) -> dict[TopicPartition, PartitionProducerState]:
        states = [
            ProducerState(7, 4, 9, 0, 2, -1),
            ProducerState(7, 3, 9, 0, 2, self.start),
            ProducerState(8, 0, 9, 0, 2, 5),
        ]
        return {tp: PartitionProducerState([states[tp.partition]]) for tp in partitions}

    def abort_transaction(self, spec: AbortTransactionSpec) -> None:
        assert self.initialised
        self.aborted.append(spec)

    def list_transactions(self) -> dict[int, list[Any]]:
        listed = SimpleNamespace(transactional_id="ours", producer_id=7, state=self.state)
        return {0: [listed], 1: [SimpleNamespace(transactional_id="another", producer_id=9, state=self.state)]}


@pytest.fixture
def committed(monkeypatch: pytest.MonkeyPatch) -> list[AbortTransactionSpec]:
    """The commit markers that were written."""
    written: list[AbortTransactionSpec] = []

    def commit(admin: Admin, spec: AbortTransactionSpec) -> None:
        assert admin.initialised
        written.append(spec)

    monkeypatch.setattr(orphans, "_write_commit_marker", commit)
    return written


@pytest.mark.slow
@pytest.mark.parametrize(
    "state", [TransactionState.COMPLETE_ABORT, TransactionState.ONGOING, TransactionState.EMPTY, TransactionState.DEAD]
)
def test_what_hangs_of_the_own_id_alone_is_aborted(
    state: TransactionState, committed: list[AbortTransactionSpec]
) -> None:
    admin = Admin(state)

    assert init_transactions(admin, admin, "ours", ["posts"]) == [TopicPartition("posts", 1)]
    assert (admin.aborted, committed) == ([MARKED], [])


@pytest.mark.parametrize("state", [TransactionState.COMPLETE_COMMIT, TransactionState.PREPARE_COMMIT])
def test_what_was_to_be_committed_is_committed(state: TransactionState, committed: list[AbortTransactionSpec]) -> None:
    admin = Admin(state)

    assert init_transactions(admin, admin, "ours", ["posts"]) == [TopicPartition("posts", 1)]
    assert (admin.aborted, committed) == ([], [MARKED])


def test_what_began_after_the_decision_is_not_committed(committed: list[AbortTransactionSpec]) -> None:
    admin = Admin(TransactionState.COMPLETE_COMMIT)

    class Producer:
        def init_transactions(self) -> None:
            admin.init_transactions()
            admin.start = 40  # another process of this name began it between the look and the fence

    init_transactions(Producer(), admin, "ours", ["posts"])
    assert (admin.aborted, committed) == ([MARKED], [])


def test_an_id_that_is_new_has_nothing_to_end(committed: list[AbortTransactionSpec]) -> None:
    admin = Admin(None)
    admin.start = -1

    assert init_transactions(admin, admin, "ours", ["posts"]) == []
    assert admin.initialised


def test_without_the_right_to_look_the_producer_works_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    admin = Admin(TransactionState.COMPLETE_COMMIT)

    def refuse(partitions: list[TopicPartition]) -> Any:
        raise ClusterAuthorizationFailedError

    monkeypatch.setattr(admin, "describe_producers", refuse)

    assert init_transactions(admin, admin, "ours", ["posts"]) == []
    assert admin.initialised
    assert "may not look for transactions" in caplog.text


@pytest.mark.parametrize("decided", [TransactionState.COMPLETE_COMMIT, TransactionState.EMPTY])
def test_another_worker_that_has_just_initialised_the_id_is_given_time_to_end_it(
    monkeypatch: pytest.MonkeyPatch, committed: list[AbortTransactionSpec], decided: TransactionState
) -> None:
    admin = Admin(TransactionState.EMPTY)
    waited = []

    def others_work(seconds: float) -> None:
        waited.append(seconds)
        if decided == TransactionState.COMPLETE_COMMIT:
            admin.start = -1  # it has written its markers

    # not time.sleep itself: a watchdog of an earlier test sleeps in its thread
    monkeypatch.setattr(orphans, "time", SimpleNamespace(sleep=others_work))

    init_transactions(admin, admin, "ours", ["posts"])

    assert waited == [orphans.OTHERS]
    assert committed == []
    assert admin.aborted == ([] if decided == TransactionState.COMPLETE_COMMIT else [MARKED])


@pytest.mark.parametrize(
    ("state", "found"),
    [
        (TransactionState.COMPLETE_ABORT, ["ours"]),
        (TransactionState.COMPLETE_COMMIT, ["ours"]),
        (TransactionState.EMPTY, ["ours"]),
        (TransactionState.ONGOING, []),
        (TransactionState.PREPARE_ABORT, []),
    ],
)
def test_what_is_open_although_its_coordinator_knows_of_nothing_was_left_behind(
    state: TransactionState, found: list[str]
) -> None:
    assert orphaned_ids(Admin(state), ["posts"]) == found


@pytest.mark.parametrize("then", [-1, 50], ids=["committed meanwhile", "and the next one has begun"])
def test_a_living_producer_between_two_transactions_left_nothing_behind(then: int) -> None:
    admin = Admin(TransactionState.COMPLETE_COMMIT)
    listing = admin.list_transactions

    def meanwhile() -> dict[int, list[Any]]:
        admin.start = then
        return listing()

    admin.list_transactions = meanwhile  # type: ignore[method-assign]

    assert orphaned_ids(admin, ["posts"]) == []
