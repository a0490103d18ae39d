import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka.errors import (
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)

from producer import in_flight as limits
from producer import replay as command
from producer.base.errors import CommandError, UsageError
from producer.base.settings import load
from producer.dataset.entry import Refused
from producer.in_flight import Tally
from producer.post import Post
from producer.replay import ReplaySettings, replay
from tests.unit.producer.tree import put


class Ack:
    """A send's future whose answer is given by the test."""

    def __init__(self) -> None:
        self.exception: BaseException | None = None
        self.is_done = False
        self.answered = threading.Event()

    def get(self, timeout: float | None = None) -> None:
        if not self.answered.wait(timeout):
            raise KafkaTimeoutError("the waiting ended")
        if self.exception:
            raise self.exception

    def answer(self, error: BaseException | None = None) -> "Ack":
        self.exception, self.is_done = error, True
        self.answered.set()
        return self


class Broker:
    """Takes posts; answers by itself unless told to hold them."""

    def __init__(self, errors: dict[str, BaseException] | None = None, hold: bool = False) -> None:
        self.errors = errors or {}
        self.hold = hold
        self.taken: list[str] = []
        self.held: dict[str, Ack] = {}
        self.most_held = 0

    def send(self, post: Post) -> Ack:
        self.taken.append(post.post_id)
        if self.hold:
            self.held[post.post_id] = Ack()
            self.most_held = max(self.most_held, sum(not ack.is_done for ack in self.held.values()))
            return self.held[post.post_id]
        return Ack().answer(self.errors.get(post.post_id))


def posts(number: int, size: int = 10) -> Iterator[Post | Refused]:
    return (Post(str(n), "rome", b"x" * size) for n in range(number))


def test_every_post_is_sent_in_order() -> None:
    broker = Broker()
    tally = replay(posts(5), broker.send, threading.Event())
    assert broker.taken == ["0", "1", "2", "3", "4"]
    assert tally == Tally(sent=5, sent_bytes=50, last="4")


def test_what_cannot_be_sent_is_counted_and_named(caplog: pytest.LogCaptureFixture) -> None:
    mixed = [*posts(3), Refused("bad", "bad.jpg: is empty"), Refused(None, "line 7: no post")]
    tally = replay(iter(mixed), Broker().send, threading.Event())
    assert tally == Tally(sent=3, failed=2, sent_bytes=30, last="bad")
    assert [record.getMessage() for record in caplog.records] == [
        "failed: bad.jpg: is empty",
        "failed: line 7: no post",
    ]


def test_failures_are_named_once_per_kind_with_their_number(caplog: pytest.LogCaptureFixture) -> None:
    bad = [Refused(str(number), f"line {number}: no time: {number}", "no time") for number in range(60)]
    tally = replay(iter([*bad, Refused("60", "line 60: no city", "no city")]), Broker().send, threading.Event())
    assert tally.failed == 61
    assert caplog.messages == ["failed: line 0: no time: 0", "failed: line 60: no city", "60 in all: failed: no time"]


def test_a_post_that_the_client_refuses_does_not_stop_the_others() -> None:
    broker = Broker()

    def send(post: Post) -> Ack:
        if post.post_id == "1":
            raise MessageSizeTooLargeError("too large")
        return broker.send(post)

    assert replay(posts(3), send, threading.Event()) == Tally(sent=2, failed=1, sent_bytes=20, last="2")


@pytest.mark.parametrize(
    "error", [KafkaTimeoutError("expired"), TopicAuthorizationFailedError("no"), RecordListTooLargeError()]
)
@pytest.mark.parametrize("at_once", [True, False])
def test_a_lost_broker_ends_the_replay_before_the_first_post_that_was_not_delivered(
    error: Exception, at_once: bool
) -> None:
    broker = Broker({"2": error})

    def send(post: Post) -> Ack:
        if at_once and post.post_id == "2":
            raise error
        return broker.send(post)

    tally = replay(posts(100), send, threading.Event())
    assert (tally.sent, tally.failed, tally.last) == (2, 0, "1")
    assert isinstance(tally.ended_by, CommandError)
    assert str(tally.ended_by).startswith("the broker is lost, or refuses: post '2': ")
    assert len(broker.taken) < 10


def test_a_post_acknowledged_before_an_earlier_one_does_not_move_the_last_id() -> None:
    broker = Broker(hold=True)
    stop = threading.Event()
    seen = []

    def report(tally: Tally) -> None:
        seen.append(tally.last)
        if len(broker.held) == 3 and not stop.is_set():
            broker.held["1"].answer()
            broker.held["2"].answer()
            stop.set()
        elif stop.is_set():
            broker.held["0"].answer(KafkaTimeoutError("expired"))

    tally = replay(posts(3), broker.send, stop, None, report)
    assert (tally.sent, tally.last) == (0, None)
    assert tally.ended_by is not None


@pytest.mark.parametrize(("size", "bound"), [(1, 20), (100, 5)])
def test_what_is_in_flight_is_bounded(size: int, bound: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_POSTS", 20)
    monkeypatch.setattr(limits, "MAX_BYTES", 500)
    broker = Broker(hold=True)
    read = 0

    def counted() -> Iterator[Post | Refused]:
        nonlocal read
        for post in posts(60, size):
            read += 1
            yield post

    done = threading.Event()

    def answer() -> None:
        while not done.is_set():
            for ack in list(broker.held.values()):
                ack.answer()
            time.sleep(0.01)

    def full(tally: Tally) -> None:
        if not thread.is_alive() and not done.is_set() and len(broker.held) == bound:
            assert read <= bound + 1, "a post is read only when it can be sent"
            thread.start()

    thread = threading.Thread(target=answer)
    tally = replay(counted(), broker.send, threading.Event(), None, full)
    done.set()
    thread.join()
    assert tally.sent == 60
    assert broker.most_held == bound


def test_a_stop_ends_the_reading_and_waits_for_what_is_in_flight() -> None:
    broker = Broker(hold=True)
    stop = threading.Event()

    def report(tally: Tally) -> None:
        if len(broker.held) == 10:
            stop.set()
            for ack in broker.held.values():
                ack.answer()

    tally = replay(posts(1000), broker.send, stop, None, report)
    assert tally == Tally(sent=10, sent_bytes=100, last="9")


def test_a_second_signal_gives_up_what_is_in_flight() -> None:
    broker = Broker(hold=True)
    stop = threading.Event()

    def report(tally: Tally) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        if len(broker.held) == 3:
            broker.held["0"].answer()
            stop.set()

    assert replay(posts(1000), broker.send, stop, None, report) == Tally(sent=1, sent_bytes=10, last="0")


def test_the_rate_is_kept() -> None:
    started = time.monotonic()
    tally = replay(posts(11), Broker().send, threading.Event(), rate=50)
    assert time.monotonic() - started >= 0.2
    assert tally.sent == 11


def test_a_stop_is_seen_while_waiting_for_the_rate() -> None:
    stop = threading.Event()

    def report(tally: Tally) -> None:
        if tally.sent == 1:
            stop.set()

    assert replay(posts(3), Broker().send, stop, 0.001, report).sent == 1


def test_a_dataset_that_cannot_be_read_on_ends_the_replay_after_what_was_read() -> None:
    def broken() -> Iterator[Post | Refused]:
        yield from posts(2)
        raise CommandError("line 3: a float")

    tally = replay(broken(), Broker().send, threading.Event())
    assert (tally.sent, tally.last, str(tally.ended_by)) == (2, "1", "line 3: a float")


def test_both_signals_stop_and_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with command._signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(60)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before


def settings(*argv: str) -> ReplaySettings:
    return load(ReplaySettings, "python -m producer replay", argv)


@pytest.mark.parametrize(
    ("tally", "interrupted", "exit_code", "said"),
    [
        (Tally(sent=5, last="4"), False, 0, "sent 5, failed 0 (0.0 MB in 2.0 s, 2 posts/s)"),
        (Tally(sent=5, failed=1, last="4"), False, 1, "sent 5, failed 1 (0.0 MB in 2.0 s, 2 posts/s)"),
        (Tally(sent=5, failed=1, last="4"), True, 1, "sent 5, failed 1, last post 4: continue with --start-after 4"),
        (Tally(), True, 1, "sent 0, failed 0, nothing to continue from"),
        (
            Tally(sent=1, last="0", ended_by=CommandError("lost")),
            False,
            1,
            "sent 1, failed 0, last post 0: continue with --start-after 0",
        ),
    ],
)
def test_the_summary_says_how_far_it_came(
    tally: Tally, interrupted: bool, exit_code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command._summarise(tally, interrupted, 2.0, settings("x")) == exit_code
    out, err = capsys.readouterr()
    assert out.strip() == said
    assert ("lost" in err) == (tally.ended_by is not None)


def test_an_interrupted_continuation_still_knows_where_it_began(capsys: pytest.CaptureFixture[str]) -> None:
    command._summarise(Tally(), True, 2.0, settings("x", "--start-after", "17"))
    assert "--start-after 17" in capsys.readouterr().out


def test_without_a_terminal_a_line_comes_now_and_then(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "REPORT_EVERY", 0.0)
    dataset: Any = None  # not even counted
    with caplog.at_level("INFO"), command._progress(settings("x"), dataset, None) as report:
        report(Tally(sent=7))
    assert caplog.messages == ["sent 7, failed 0 so far"]


@pytest.mark.parametrize(
    "argv",
    [
        ["x", "--rate", "0"],
        ["x", "--rate", "inf"],
        ["x", "--limit", "0"],
        ["x", "--ids", "twitter"],
        ["x", "--max-request-size", "1"],
        ["x", "--delivery-timeout", "0"],
    ],
)
def test_wrong_settings_are_wrong_usage(argv: list[str]) -> None:
    with pytest.raises(UsageError):
        settings(*argv)


def test_an_unknown_city_is_wrong_usage_that_names_those_there_are(tmp_path: Path) -> None:
    put(tmp_path / "img" / "rome" / "1.jpg")
    put(tmp_path / "img" / "oslo" / "1.jpg")
    with pytest.raises(UsageError, match="--cities paris: not in .*; there are: oslo, rome"):
        command.main([str(tmp_path), "--cities", "rome, paris"])


def test_an_unknown_id_to_go_on_from_is_said_before_anything_is_connected(tmp_path: Path) -> None:
    path = put(tmp_path / "posts.jsonl", json.dumps({"post_id": "1", "city": "rome", "image": "a.jpg"}))
    with pytest.raises(CommandError, match="--start-after 2: "):
        command.main([str(path), "--start-after", "2"])
