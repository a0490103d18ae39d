"""What a worker leaves to the next: offsets that are pending, a batch that is aborted, partitions lost while busy."""

import signal
import time
from contextlib import suppress

import pytest
from kafka import KafkaAdminClient

from consumer.label.read import LOOK_EVERY, MOST_IN_FLIGHT
from deploy.local.stack import Stack
from tests.conftest import PATIENCE, MakeTopics, StartCli, wait_until
from tests.faults.invariants import aborted, members
from tests.faults.pool import Pool
from tests.integration.consumer.count.conftest import metric
from tests.integration.consumer.label.conftest import came_out
from tests.wire import picture, post, recreate, write

GREY = (90, 100, 90)
"""A picture that is not sure: its caption is encoded."""
LONG_SESSION = ("--session-timeout", "30")
"""For what must be over before the group gives up on a frozen worker."""
LONG_PUBLISH = ("--publish-timeout", "300")
"""Neither the broker nor its own watchdog gives up on a frozen worker."""


@pytest.fixture
def pool(stack: Stack, make_topics: MakeTopics, start_cli: StartCli) -> Pool:
    """Of one partition: whatever one worker loses another gets."""
    return Pool(stack, make_topics(1), start_cli, "tests.faults.light")


def freeze(pool: Pool, window: str, at: int = 1, flags: tuple[str, ...] = ()) -> None:
    """Start worker a; it stands still at this moment: beyond its session, but never beyond its transaction."""
    pool.start(
        "a",
        flags=(*LONG_PUBLISH, *flags),
        FAULTS_WINDOW=window,
        FAULTS_AT=str(at),
        FAULTS_SIGNAL="SIGSTOP",
    )
    pool.workers["a"].wait_for_output("reached: ")


def is_member(pool: Pool, name: str) -> bool:
    return any(member.endswith(f"-{name}") for member in members(pool.stack, pool.group))


def test_offsets_that_a_frozen_worker_has_pending_are_waited_for(pool: Pool) -> None:
    write(pool.stack, pool.topics.input, [post(f"{number:02}") for number in range(24)])
    freeze(pool, "right before commit", at=2)
    pool.start("b")
    wait_until(lambda: not is_member(pool, "a") and is_member(pool, "b"), what="the group gives up on the first")

    with suppress(AssertionError):  # that it does not
        wait_until(lambda: pool.published("b"), 3, "the second worker publishes")
    assert not pool.published("b"), "went on from offsets that are about to change"
    pool.workers["a"].process.send_signal(signal.SIGCONT)  # its commit is in time

    pool.settle()
    assert came_out(pool.stack, pool.topics) == [f"{number:02}" for number in range(24)]
    assert pool.published("a") == 2  # its commit was in time


def test_a_worker_that_thaws_after_its_partitions_were_given_away_is_refused(pool: Pool) -> None:
    write(pool.stack, pool.topics.input, [post(f"{number:02}") for number in range(24)])
    freeze(pool, "after labels are sent", at=2)
    pool.start("b")
    # It publishes what the first one has open, and the rest.
    wait_until(lambda: pool.published("b") == 2, what="the second worker takes over")

    thawed = pool.workers["a"]
    thawed.process.send_signal(signal.SIGCONT)  # its transaction is still alive
    wait_until(lambda: pool.published("a") == 2 or " resync cause=publish " in thawed.output, what="an answer")
    assert pool.published("a") == 1, "published what the second worker has published"

    pool.settle()
    assert came_out(pool.stack, pool.topics) == [f"{number:02}" for number in range(24)]


def test_an_offset_that_was_committed_late_for_a_deleted_topic_hides_nothing_of_its_successor(
    pool: Pool, admin: KafkaAdminClient
) -> None:
    topic = pool.topics.input
    write(pool.stack, topic, [post(f"old {number}") for number in range(8)])
    freeze(pool, "after begin", flags=LONG_SESSION)
    recreate(admin, topic, partitions=1)
    write(pool.stack, topic, [post(f"new {number:02}") for number in range(24)])
    time.sleep(LOOK_EVERY)  # so that the worker looks at the topic before its next batch: sooner nothing is promised
    pool.workers["a"].process.send_signal(signal.SIGCONT)  # within its session: it publishes what it has read

    pool.settle()
    old, new = [f"old {number}" for number in range(8)], [f"new {number:02}" for number in range(24)]
    assert came_out(pool.stack, pool.topics) == new + old
    assert "the committed offset is of an earlier topic of this name" in pool.workers["a"].output


def test_dead_letters_of_a_batch_that_is_aborted_are_aborted_with_it(pool: Pool) -> None:
    poison = (b"dead", b"no picture", [("city", b"london")])
    write(pool.stack, pool.topics.input, [post("good"), poison])
    pool.start("a", FAULTS_WINDOW="right before commit")
    pool.workers["a"].process.wait(PATIENCE)
    assert "reached: " in pool.workers["a"].output

    pool.start("a")
    pool.settle()

    assert came_out(pool.stack, pool.topics) == ["dead", "good"]
    assert aborted(pool.stack, pool.topics) == 2  # it had sent both


def test_what_others_published_while_a_worker_stood_still_is_not_published_again(pool: Pool) -> None:
    posts = [
        (str(number).encode(), picture(GREY), [("city", b"london"), ("caption", b"takes 5 s")]) for number in range(4)
    ]
    write(pool.stack, pool.topics.input, posts)
    times = ("--max-poll-interval", "16", "--session-timeout", "40")
    pool.start("a", flags=(*times, "--batch-size", "1"))
    slow = pool.workers["a"]
    slow.wait_for_output(" joined ")
    in_flight = 'placestream_batch_closed_total{by="size"}'
    wait_until(lambda: metric(slow, in_flight) == MOST_IN_FLIGHT, what="no more polls")
    slow.process.send_signal(signal.SIGSTOP)
    pool.start("b", flags=(*times, "--ensemble", "only-image"))
    pool.settle()  # the group has waited for MAX_POLL_INTERVAL
    # Its first batch is still in the model: until that is out, its heartbeats learn that it is no member any more.
    slow.process.send_signal(signal.SIGCONT)
    wait_until(lambda: pool.published("a") or " resync cause=" in slow.output.split(" joined ")[1], what="an answer")
    assert not pool.published("a"), "published what the second worker has published"

    write(pool.stack, pool.topics.input, [post("last")])
    pool.settle()
    assert came_out(pool.stack, pool.topics) == ["0", "1", "2", "3", "last"]
