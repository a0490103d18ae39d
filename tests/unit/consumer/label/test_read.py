"""Stage `read` against a consumer whose group changes on command: what it hands out, and what it must drop."""

from unittest.mock import Mock

import pytest
from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import CommitFailedError, RebalanceInProgressError

from consumer.label.group import Reassigned
from consumer.label.read import POLL_LIMIT, Stuck
from tests.unit.consumer.label.reading import InFlight, Limits, Line, at, places
from tests.unit.consumer.label.records import record


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    return Line(monkeypatch)


def test_a_batch_has_its_records_and_the_offset_behind_them(line: Line) -> None:
    batch = line.batch()

    assert places(batch) == [(0, 0), (0, 1), (0, 2), (0, 3)]
    assert batch.offsets == {at(0): OffsetAndMetadata(4, "topic_id=first", -1)}
    assert batch.topic_id == "first"
    line.source.check(batch)
    assert places(line.batch())[0] == (0, 4)


def test_the_loop_has_its_turn_while_the_model_is_busy_and_nothing_comes(line: Line) -> None:
    line.broker.logs[at(0)].clear()

    assert line.source.next_batch(InFlight(), line.most) is None


def test_what_is_collected_stays_for_the_next_batch(line: Line) -> None:
    line.collect(3)

    assert places(line.batch()) == [(0, 0), (0, 1), (0, 2), (0, 3)]


def test_a_batch_is_closed_when_its_first_record_has_waited_until_the_deadline(line: Line) -> None:
    line.collect(2)
    line.clock.now += 60

    batch = line.batch()

    assert (places(batch), batch.closed_by) == ([(0, 0), (0, 1)], "deadline")


def test_a_batch_is_closed_when_it_has_so_many_bytes(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.collect(2)
    monkeypatch.setattr("consumer.label.batch.POLL_BYTES", 2 * len(b"0" + b"citylondon"))

    batch = line.batch()

    assert (places(batch), batch.closed_by) == ([(0, 0), (0, 1)], "size")
    monkeypatch.setattr("consumer.label.batch.POLL_BYTES", 10**9)
    assert places(line.batch()) == [(0, 2), (0, 3), (0, 4), (0, 5)]


def test_a_batch_has_the_group_metadata_of_the_poll_not_of_later(line: Line) -> None:
    line.collect(2)
    line.consumer.generation = -1  # evicted: the client's IO thread knows, the listener is not called before a poll
    line.clock.now += 60

    batch = line.batch()

    assert batch.group.generation_id == 1
    with pytest.raises(Reassigned, match="generation 1, which is over"):
        line.source.check(batch)


def test_a_batch_without_a_generation_is_not_published(line: Line) -> None:
    line.consumer.generation = -1  # the broker would commit its offsets unfenced

    batch = line.batch()

    with pytest.raises(Reassigned, match="generation -1, which is over"):
        line.source.check(batch)


def test_a_batch_of_before_a_rebalance_is_not_published(line: Line) -> None:
    batch = line.batch()
    line.consumer.give(0)

    with pytest.raises(Reassigned):
        line.source.check(batch)


def test_what_was_collected_before_a_rebalance_comes_again_once(line: Line) -> None:
    line.collect(2)
    line.consumer.give(0)

    assert places(line.batch()) == [(0, 0), (0, 1), (0, 2), (0, 3)]


def test_what_was_collected_of_a_partition_that_is_taken_away_is_not_handed_out(line: Line) -> None:
    line.collect(2)
    line.consumer.give(1)

    assert places(line.batch()) == [(1, 0), (1, 1), (1, 2), (1, 3)]


def test_records_of_the_very_poll_during_which_the_group_changed_are_dropped(line: Line) -> None:
    line.collect(2)
    line.consumer.during_poll.append(lambda: line.consumer.give(1))

    batch = line.batch()

    assert places(batch) == [(1, 0), (1, 1), (1, 2), (1, 3)]
    assert batch.group.generation_id == line.consumer.generation


def test_a_partition_that_is_kept_goes_back_to_what_is_committed(line: Line) -> None:
    published = line.batch()
    line.broker.committed |= published.offsets
    line.batch()  # in flight, and dropped
    line.consumer.give(0, 1)
    assert line.consumer.positions[at(0)] == 8  # kept in memory

    assert places(line.batch())[0] == (0, 4)


def test_an_offset_that_was_committed_for_a_deleted_topic_of_this_name_is_not_used(line: Line) -> None:
    line.broker.committed |= line.batch().offsets
    line.broker.topic_id = "second"
    line.consumer.give(0)

    batch = line.batch()

    assert places(batch)[0] == (0, 0)
    assert batch.offsets[at(0)].metadata == "topic_id=second"
    assert line.consumer.closed  # and with it what it had fetched of the old topic


def test_an_offset_beyond_the_end_of_the_very_topic_it_was_committed_for_goes_on_at_its_end(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    line.broker.committed[at(0)] = OffsetAndMetadata(14, "topic_id=first", -1)
    line.source.resync()
    line.source.resync()

    assert line.consumer.positions[at(0)] == 10
    assert caplog.text.count("the broker lost records: going on at the end") == 1
    assert line.source._metrics.expired.labels("0")._value.get() == 4


def test_an_offset_beyond_the_end_that_says_of_no_topic_begins_again(line: Line) -> None:
    line.broker.committed[at(0)] = OffsetAndMetadata(14, "", -1)
    line.source.resync()

    assert line.consumer.positions[at(0)] == 0
    assert line.source._metrics.expired.labels("0")._value.get() == 1


def test_with_stop_at_end_the_end_of_a_recreated_topic_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch, stop_at_end=True)
    line.broker.committed[at(0)] = OffsetAndMetadata(4, "topic_id=first", -1)
    line.broker.topic_id = "second"
    line.broker.logs[at(0)] = line.broker.logs[at(0)][:3]
    for _ in range(2):  # the first leads to a new consumer, which joins again
        line.consumer.give(0)
        line.source.resync()

    assert places(line.batch()) == [(0, 0), (0, 1), (0, 2)]
    line.broker.committed[at(0)] = OffsetAndMetadata(3, "topic_id=second", -1)
    assert line.source.is_at_end()


def test_what_others_commit_while_it_looks_is_no_offset_of_an_earlier_topic(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = line.consumer.committed

    def others_go_on(partition: TopicPartition, metadata: bool, timeout_ms: int) -> OffsetAndMetadata | None:
        line.broker.logs[partition].append(record(10, b"", partition=partition.partition))
        line.broker.committed[partition] = OffsetAndMetadata(11, "", -1)
        return ask(partition, metadata, timeout_ms)

    monkeypatch.setattr(line.consumer, "committed", others_go_on)
    line.consumer.give(0)
    line.source.resync()

    assert line.consumer.positions[at(0)] == 11


def test_a_broker_that_forgets_what_this_worker_committed_is_not_believed(line: Line) -> None:
    batch = line.batch()
    line.broker.committed.update(batch.offsets)
    line.source.record_commit(batch)
    line.broker.committed[at(0)] = OffsetAndMetadata(2, "", -1)

    line.source.resync()

    assert line.consumer.positions[at(0)] == 4


def test_a_broker_that_forgets_where_a_partition_stood_when_it_came_is_not_believed(line: Line) -> None:
    line.broker.committed[at(1)] = OffsetAndMetadata(6, "", -1)
    line.consumer.give(1)
    line.source.resync()  # nothing is published since
    del line.broker.committed[at(1)]

    line.source.resync()

    assert line.consumer.positions[at(1)] == 6


@pytest.mark.parametrize("committed", [OffsetAndMetadata(2, "", -1), None])
def test_a_partition_goes_on_after_what_came_out_whatever_the_broker_says(
    line: Line, committed: OffsetAndMetadata | None
) -> None:
    line.source._published.after = {at(1): 7}  # type: ignore[attr-defined]  # of the worker that had it before
    line.consumer.give(1)
    line.broker.committed = {} if committed is None else {at(1): committed}

    line.source.resync()

    assert line.consumer.positions[at(1)] == 7


def test_what_came_out_of_a_topic_since_deleted_says_nothing_of_its_successor(line: Line) -> None:
    line.broker.committed[at(0)] = OffsetAndMetadata(2, "topic_id=an older one", -1)
    line.source._published.after = {at(0): 7}  # type: ignore[attr-defined]

    line.source.resync()

    assert line.consumer.positions[at(0)] == 0


@pytest.mark.parametrize("refusal", [CommitFailedError, RebalanceInProgressError])
def test_a_group_that_moves_on_while_it_looks_is_joined_again_by_the_next_poll(
    line: Line, monkeypatch: pytest.MonkeyPatch, refusal: type[Exception]
) -> None:
    monkeypatch.setattr(line.consumer, "commit", Mock(side_effect=refusal))
    line.source.resync()
    line.consumer.during_poll.append(lambda: line.consumer.give(0))

    with pytest.raises(Reassigned):
        line.source.next_batch(None, line.most)


def test_a_group_that_does_not_answer_is_joined_again_and_at_the_start_sooner(line: Line) -> None:
    for seconds in (15, 60):  # half of STARTUP_TIMEOUT, then STUCK_AFTER
        line.consumer.listener.on_partitions_revoked(set())
        line.source.check_moving()
        line.clock.now += seconds
        line.source.check_moving()
        line.clock.now += 1
        with pytest.raises(Stuck, match=f"no partitions out for {seconds} s"):
            line.source.check_moving()
        line.consumer.give(0)
        line.source.resync()
        line.source.check_moving()


def test_a_poll_happens_within_a_limit(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits()
    monkeypatch.setattr(line.source, "_watchdog", limits)
    seen: list[tuple[float, str] | None] = []
    line.consumer.during_poll.append(lambda: seen.append(limits.guarding))

    line.batch()

    assert seen == [(POLL_LIMIT, "reading records")]
