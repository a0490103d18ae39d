"""Which record ends worker after worker, told from what is committed alone. No worker here says that it dies."""

from collections.abc import Callable

import pytest

from consumer.label.batch import Batch
from consumer.label.offset_metadata import Note
from consumer.label.trial import MOST_DEATHS
from tests.unit.consumer.label.reading import Broker, Line, at, places
from tests.unit.consumer.label.records import record


class Group:
    """Workers one after the other, on the same partitions; batches of four."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.broker = Broker()
        self.broker.logs[at(0)] = [record(offset, b"") for offset in range(12)]
        self.broker.members = set()
        self.started = 0

    def start(self) -> "Worker":
        """Another worker; the one before it is gone without a word."""
        self.broker.members = {f"member-{self.started}"}
        self.started += 1
        return Worker(self)

    def note(self, partition: int = 0) -> Note:
        return Note.of(self.broker.committed[at(partition)].metadata)


class Worker(Line):
    def __init__(self, group: Group) -> None:
        super().__init__(group.monkeypatch, broker=group.broker, member=f"member-{group.started - 1}")

    def commit(self, batch: Batch) -> None:
        self.consumer.commit(batch.offsets, 0)
        self.source.record_commit(batch)


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> Group:
    return Group(monkeypatch)


def test_after_a_death_without_progress_records_are_tried_one_by_one(group: Group) -> None:
    group.start()
    worker = group.start()
    for offset in range(8):  # as many as the dead one may have had in hand
        batch = worker.batch()
        assert (places(batch), batch.condemned, worker.source.most_in_flight) == ([(0, offset)], False, 1)
        assert group.note() == Note("member-1", 0, is_trying=True, topic_id="first")
        worker.commit(batch)
        assert group.note() == Note(topic_id="first")
    assert places(worker.batch()) == [(0, 8), (0, 9), (0, 10), (0, 11)]
    assert worker.source.most_in_flight == 2


def test_a_record_of_which_three_workers_died_alone_is_condemned_and_the_next_is_not(group: Group) -> None:
    group.start()
    for death in range(MOST_DEATHS):
        assert not group.start().batch().condemned
        assert group.note().tries == death
    worker = group.start()
    batch = worker.batch()
    assert (places(batch), batch.condemned) == ([(0, 0)], True)
    worker.commit(batch)
    batch = worker.batch()
    assert (places(batch), batch.condemned) == ([(0, 1)], False)


def test_deaths_count_for_the_record_that_was_tried_alone_and_for_no_other(group: Group) -> None:
    group.start()
    for _ in range(MOST_DEATHS - 1):
        group.start().batch()
    worker = group.start()
    worker.commit(worker.batch())  # it gets over the first and dies of the second
    assert not worker.batch().condemned
    for _ in range(MOST_DEATHS - 1):
        assert places(batch := group.start().batch()) == [(0, 1)]
        assert not batch.condemned
    assert group.start().batch().condemned


def test_workers_that_die_before_they_try_a_record_condemn_none(group: Group) -> None:
    for _ in range(10):
        group.start()
    assert not group.start().batch().condemned


@pytest.mark.parametrize(
    "leave",
    [
        lambda worker: worker.source.release(),
        lambda worker: worker.broker.members.add("member-0"),  # it is there still, the group gave its partition away
    ],
    ids=["in good order", "rebalanced"],
)
def test_a_worker_that_left_and_did_not_die_makes_nothing_suspect(
    group: Group, leave: Callable[[Worker], None]
) -> None:
    leaving = group.start()
    leaving.batch()
    group.broker.members = {"member-1"}
    group.started += 1
    leave(leaving)
    worker = Worker(group)
    assert places(worker.batch()) == [(0, 0), (0, 1), (0, 2), (0, 3)]


def test_a_worker_that_is_given_its_own_partition_again_makes_nothing_suspect(group: Group) -> None:
    worker = group.start()
    worker.batch()
    worker.consumer.member = "member-again"
    worker.consumer.give(0)
    assert places(worker.batch()) == [(0, 0), (0, 1), (0, 2), (0, 3)]
    assert group.note() == Note("member-again", topic_id="first")


def test_a_trial_goes_on_over_a_rebalance_and_does_not_count_as_a_death(group: Group) -> None:
    group.start()
    worker = group.start()
    for _ in range(5):
        worker.batch()
        worker.consumer.give(0)
    batch = worker.batch()
    assert (places(batch), batch.condemned, group.note().tries) == ([(0, 0)], False, 0)


def test_who_leaves_in_good_order_keeps_what_is_known_of_a_record(group: Group) -> None:
    group.start()
    group.start().batch()
    worker = group.start()
    worker.batch()
    worker.source.release()
    assert group.note() == Note(tries=1, topic_id="first")


def test_nothing_is_noted_where_nothing_waits(group: Group) -> None:
    group.broker.logs[at(0)].clear()
    group.start()
    assert group.note() == Note()


def test_an_idle_worker_suspects_nothing_any_more(group: Group) -> None:
    group.start()
    worker = group.start()
    worker.source.check_moving()
    assert worker.source.most_in_flight == 2
