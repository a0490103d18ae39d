"""Sends the posts of a dataset to the input topic: paced, bounded in memory, and resumable.

Delivery is at least once: the idempotent producer repeats nothing by itself, but what was in flight when the broker
was lost may be sent again by the replay that goes on.
"""

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from kafka import KafkaProducer
from pydantic import Field
from pydantic_settings import CliPositionalArg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from producer.base.connect import close_at_once, connect
from producer.base.errors import CommandError
from producer.base.settings import TopicSettings, load
from producer.dataset.entry import Entry, Refused
from producer.dataset.open import Dataset, chosen_cities, entries_after, open_dataset
from producer.held import check_not_held
from producer.in_flight import MAX_POSTS, InFlight, Sent, Tally
from producer.post import Post
from producer.topics import DEFAULT_MAX_REQUEST_SIZE, Topic, admin_client, describe

log = logging.getLogger(__name__)

REPORT_EVERY = 10.0
"""Seconds between two lines of progress where there is no terminal."""

SLICE = 0.2
"""Seconds after which a wait looks around: for a signal, for progress."""


class ReplaySettings(TopicSettings):
    """Settings of ``replay``."""

    dataset: CliPositionalArg[Path] = Field(description="folder (InstaCities1M, InstaNY100K, pictures) or manifest")
    rate: float | None = Field(None, gt=0, allow_inf_nan=False, description="posts per second (default: no limit)")
    limit: int | None = Field(None, ge=1, description="stop after so many posts")
    cities: str | None = Field(None, min_length=1, description="only these cities: a,b")
    city: str | None = Field(None, min_length=1, description="city of pictures outside a city's folder")
    ids: Literal["instagram", "plain"] | None = Field(
        None, description="what ids tell of a post's time (default: instagram in img* layouts, else plain)"
    )
    start_after: str | None = Field(None, min_length=1, description="go on after this post ID")
    again: bool = Field(False, description="send even what the topic holds already")
    max_request_size: int = Field(
        DEFAULT_MAX_REQUEST_SIZE, ge=1024, description="largest record of the input topic, bytes"
    )
    delivery_timeout: float = Field(
        120.0, ge=2, allow_inf_nan=False, description="seconds to keep trying to deliver a post"
    )


def main(argv: Sequence[str]) -> int:
    """``replay``: exit code 1 when a post failed, or the replay ended early."""
    settings = load(ReplaySettings, "python -m producer replay", argv)
    dataset = open_dataset(settings.dataset, settings.city, settings.ids)
    cities = chosen_cities(settings.cities, settings.dataset, dataset)

    def entries() -> Iterator[Entry | Refused]:
        found = dataset.entries(cities)
        return islice(entries_after(found, settings.start_after) if settings.start_after else found, settings.limit)

    chosen = entries()
    topic = _look_at(settings, entries)
    # What is too large for the topic is refused here, post by post; the broker would refuse good records of its batch
    # as well (consumer/kafka/README.md, fact 33).
    limit = min(settings.max_request_size, topic.max_record_bytes or settings.max_request_size)
    posts = (_read(entry, limit) for entry in chosen)
    producer = _producer(settings, limit)

    def send(post: Post) -> Sent:
        key, value, headers = post.to_record()
        sent: Sent = producer.send(settings.input_topic, key=key, value=value, headers=headers)
        return sent

    started = time.monotonic()
    try:
        with _signals() as stop, _progress(settings, dataset, cities) as report:
            tally = replay(posts, send, stop, settings.rate, report)
    finally:
        close_at_once(producer)
    return _summarise(tally, stop.is_set(), time.monotonic() - started, settings)


def replay(
    posts: Iterator[Post | Refused],
    send: Callable[[Post], Sent],
    stop: threading.Event,
    rate: float | None = None,
    report: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Send posts until they end, `stop` is set or the broker is lost; then wait for what is in flight.

    Args:
        posts: read lazily, one at a time.
        send: sends one post; may raise a `KafkaError`.
        stop: set from elsewhere (a signal); `KeyboardInterrupt` besides gives up what is in flight.
        rate: posts per second, by a fixed schedule; None for as fast as it goes.
        report: is told often how far it is.
    """
    in_flight = InFlight(tally := Tally())
    started = time.monotonic()
    try:
        for number, post in enumerate(posts):
            due = started + number / rate if rate else 0.0
            while not (stop.is_set() or in_flight.lost) and (in_flight.full or time.monotonic() < due):
                if in_flight.full:
                    in_flight.settle(SLICE)
                else:
                    in_flight.settle()
                    stop.wait(min(max(due - time.monotonic(), 0.0), SLICE))
                report(tally)
            if stop.is_set() or in_flight.lost:
                break
            in_flight.send(post, send)
            in_flight.settle()
            report(tally)
    except CommandError as error:  # the dataset cannot be read on
        tally.ended_by = error
    except KeyboardInterrupt:
        in_flight.failures.say_numbers()
        return tally
    with suppress(KeyboardInterrupt):
        while in_flight and not in_flight.lost:
            in_flight.settle(SLICE)
            report(tally)
    in_flight.failures.say_numbers()
    if in_flight.lost:
        tally.ended_by = CommandError(f"the broker is lost, or refuses: {in_flight.lost}")
    return tally


def _read(entry: Entry | Refused, max_bytes: int) -> Post | Refused:
    if isinstance(entry, Refused):
        return entry
    try:
        return entry.read(max_bytes)
    except Refused as refused:
        return refused


def _look_at(settings: ReplaySettings, entries: Callable[[], Iterator[Entry | Refused]]) -> Topic:
    """The input topic.

    Raises:
        CommandError: no broker, no topic, or it holds these posts already.
    """
    with admin_client(settings) as admin:
        topic = describe(admin, [settings.input_topic]).get(settings.input_topic)
        if topic is None:
            raise CommandError(f"topic {settings.input_topic} does not exist; create it: python -m producer topics")
        if not settings.again:
            # What was in flight at an interruption may be there, and comes again.
            check_not_held(admin, topic, islice(entries(), MAX_POSTS if settings.start_after else 0, None))
    return topic


def _producer(settings: ReplaySettings, limit: int) -> Any:
    """An idempotent producer, connected."""
    delivery_timeout_ms = int(settings.delivery_timeout * 1000)
    return connect(
        settings,
        lambda: KafkaProducer(
            **settings.kafka(),
            allow_auto_create_topics=False,
            acks="all",
            enable_idempotence=True,
            batch_size=min(1024 * 1024, limit),
            linger_ms=10,
            max_request_size=limit,
            delivery_timeout_ms=delivery_timeout_ms,
            request_timeout_ms=min(10_000, delivery_timeout_ms // 2),
        ),
    )


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """An event that SIGINT, SIGTERM and SIGHUP set; the second one raises `KeyboardInterrupt`."""
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    previous = {}
    if threading.current_thread() is threading.main_thread():
        heard = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
        if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # `nohup`
            heard.remove(signal.SIGHUP)
        previous = {number: signal.signal(number, on_signal) for number in heard}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def _progress(
    settings: ReplaySettings, dataset: Dataset, cities: tuple[str, ...] | None
) -> Iterator[Callable[[Tally], None]]:
    """What to call with the tally, often: a bar on a terminal, else a line now and then."""
    if not sys.stderr.isatty():
        yield _every(REPORT_EVERY, lambda tally: log.info("sent %d, failed %d so far", tally.sent, tally.failed))
        return
    # Counting reads the names of all files: only for eyes, and only where the bar then means something.
    count = None if settings.start_after else dataset.count(cities)
    total = min((number for number in (count, settings.limit) if number is not None), default=None)
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("posts", total=total)
        yield _every(0.1, lambda tally: bar.update(task, completed=tally.sent + tally.failed))


def _every(seconds: float, report: Callable[[Tally], None]) -> Callable[[Tally], None]:
    last = time.monotonic()

    def now_and_then(tally: Tally) -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            report(tally)

    return now_and_then


def _summarise(tally: Tally, interrupted: bool, seconds: float, settings: ReplaySettings) -> int:
    """Say how far it came; returns the exit code."""
    if interrupted or tally.ended_by:
        last = tally.last or settings.start_after
        go_on = f"last post {last}: continue with --start-after {last}" if last else "nothing to continue from"
        if tally.ended_by:
            print(f"python -m producer replay: {tally.ended_by}", file=sys.stderr)
        print(f"sent {tally.sent}, failed {tally.failed}, {go_on}")
        return 1
    speed = f"{tally.sent_bytes / 1e6:.1f} MB in {seconds:.1f} s, {tally.sent / max(seconds, 1e-3):.0f} posts/s"
    print(f"sent {tally.sent}, failed {tally.failed} ({speed})")
    return 1 if tally.failed else 0
