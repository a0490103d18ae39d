"""The stage `fetch` against a broker in memory: every request is answered, and the thread goes on."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from kafka import TopicPartition

from consumer.board import fetch
from consumer.board.fetch import MOST_WAITING, Away, Fetcher, Gone
from tests.unit.consumer.board.broker import Broker, Consumer


def at(number: int, topic: str = "posts") -> TopicPartition:
    return TopicPartition(topic, number)


@pytest.fixture
def broker() -> Broker:
    return Broker({at(number): {offset: b"%d" % offset for offset in range(100)} for number in (0, 1)})


@pytest.fixture
def fetcher(broker: Broker) -> Fetcher:
    return Fetcher(Consumer(broker))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "PATIENCE", 0.1)


@pytest.fixture
def run(fetcher: Fetcher) -> Iterator[threading.Event]:
    """Set it and the thread begins: what was asked for before is one batch."""
    begin, stop = threading.Event(), threading.Event()

    def work() -> None:
        begin.wait()
        fetcher.run(stop)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield begin
    stop.set()
    begin.set()
    thread.join(10)
    assert not thread.is_alive()


def value(asked: Future[Any]) -> bytes:
    found: bytes = asked.result(10).value
    return found


def test_records_come_from_every_partition_near_and_far(fetcher: Fetcher, run: threading.Event) -> None:
    asked = {(number, offset): fetcher.ask("posts", number, offset) for number in (0, 1) for offset in (3, 99, 5, 60)}
    run.set()
    assert {where: value(each) for where, each in asked.items()} == {where: b"%d" % where[1] for where in asked}


def test_what_has_expired_or_never_was_is_gone_and_the_rest_comes(
    fetcher: Fetcher, run: threading.Event, broker: Broker
) -> None:
    broker.begin(at(0), 50)
    del broker.logs[at(0)][70]  # compacted away
    gone = [fetcher.ask("posts", *where) for where in ((0, 3), (0, 70), (0, 100), (7, 0))]
    kept = fetcher.ask("posts", 0, 60)
    run.set()
    for each in gone:
        with pytest.raises(Gone):
            each.result(10)
    assert value(kept) == b"60"


def test_a_partition_that_is_silent_holds_nobody_else_up(
    fetcher: Fetcher, run: threading.Event, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.silent = {at(0)}
    slow, quick = fetcher.ask("posts", 0, 60), fetcher.ask("posts", 1, 60)
    run.set()
    assert value(quick) == b"60"
    later = [fetcher.ask("posts", 1, offset) for offset in (61, 5, 99)]
    assert [value(each) for each in later] == [b"61", b"5", b"99"]
    assert not slow.done()
    monkeypatch.setattr(fetch, "PATIENCE", 0.1)
    with pytest.raises(Away, match="The broker does not answer"):
        fetcher.ask("posts", 0, 61).result(10)


def test_what_is_asked_for_later_is_looked_for_where_the_partition_ends_by_then(
    fetcher: Fetcher, run: threading.Event, broker: Broker
) -> None:
    broker.silent = {at(0)}
    first = fetcher.ask("posts", 0, 60)
    run.set()
    with pytest.raises(TimeoutError):
        first.result(0.02)
    broker.logs[at(0)][100] = b"new"
    later = fetcher.ask("posts", 0, 100)
    broker.silent = set()
    assert [value(first), value(later)] == [b"60", b"new"]


def test_whoever_loses_patience_takes_the_answer_from_nobody_else(fetcher: Fetcher, run: threading.Event) -> None:
    impatient, patient = (fetcher.ask("posts", 0, 3) for _ in range(2))
    assert impatient.cancel()
    run.set()
    assert value(patient) == b"3"
    assert value(fetcher.ask("posts", 0, 4)) == b"4"


@pytest.mark.usefixtures("impatient")
def test_the_thread_outlives_a_broker_that_is_away_and_whoever_did_not_wait(
    fetcher: Fetcher, run: threading.Event, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.is_away = True
    impatient, patient = (fetcher.ask("posts", 0, 3) for _ in range(2))
    assert impatient.cancel()
    run.set()
    with pytest.raises(Away, match="The broker does not answer"):
        patient.result(10)
    monkeypatch.setattr(fetch, "PATIENCE", 60.0)
    broker.is_away = False
    assert value(fetcher.ask("posts", 0, 3)) == b"3"


def test_a_partition_that_came_into_being_later_is_looked_for(
    fetcher: Fetcher, run: threading.Event, broker: Broker
) -> None:
    broker.logs[at(2)] = {0: b"new"}
    asked = fetcher.ask("posts", 2, 0)
    run.set()
    assert value(asked) == b"new"


@pytest.mark.usefixtures("impatient")
def test_while_nobody_can_be_asked_about_a_partition_it_is_not_called_gone(
    fetcher: Fetcher, run: threading.Event, broker: Broker
) -> None:
    broker.is_away = True
    asked = fetcher.ask("posts", 2, 0)
    run.set()
    with pytest.raises(Away):
        asked.result(10)


def test_a_topic_that_may_not_be_read_is_named_and_others_are_read(
    fetcher: Fetcher, run: threading.Event, broker: Broker
) -> None:
    broker.logs[at(0, "labeled")] = {0: b"label"}
    broker.refused = {"posts"}
    refused, hidden, read = (fetcher.ask(topic, 0, 0) for topic in ("posts", "unseen", "labeled"))
    run.set()
    with pytest.raises(Away, match="may not read the topic posts"):
        refused.result(10)
    with pytest.raises(Away, match="no topic unseen, or the board may not see it"):
        hidden.result(10)
    assert value(read) == b"label"


def test_too_many_requests_are_refused_at_once(fetcher: Fetcher) -> None:
    for offset in range(MOST_WAITING):
        fetcher.ask("posts", 0, offset)
    with pytest.raises(Away, match="Too many"):
        fetcher.ask("posts", 0, 0)
