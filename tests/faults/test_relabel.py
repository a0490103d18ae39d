"""A relabel that is killed again and again: each vector has its label, or its dead letter, once."""

import random
import signal
import time
from collections import Counter
from datetime import UTC, datetime

import numpy as np

from consumer.encoded_post import EncodedPost
from consumer.labeled_post import LabeledPost
from consumer.record import SourceRecord
from deploy.local.stack import Stack
from tests.conftest import MakeTopics, RunCli, StartCli, Topics, wait_until
from tests.faults.invariants import LEVELS, ids, is_settled
from tests.wire import read_all, write

KILLS = 10
POSTS = 12_000
FLAGS = ("--metrics-port", "0", "--session-timeout", "6", "--startup-timeout", "90")


def encoded(number: int) -> bytes:
    """A post of one of three colours; one in twenty is of another encoder."""
    return EncodedPost(
        post_id=str(number),
        city="london",
        created_at=None,
        sentiment=None,
        language=None,
        caption=False,
        encoder="other" if number % 20 == 0 else "light",
        dimensions=3,
        image=np.eye(3, dtype=np.float32)[number % 3],
        text=None,
        descriptor=None,
        source=SourceRecord(topic="posts", partition=0, offset=number),
        encoded_at=datetime.now(UTC),
    ).to_value()


def test_ten_kills_in_the_middle_of_a_relabel_lose_and_double_nothing(
    stack: Stack, make_topics: MakeTopics, start_cli: StartCli, run_cli: RunCli, seed: int
) -> None:
    print(f"seed {seed}")
    chance, topics = random.Random(seed), make_topics(6, vectors=True)
    assert topics.vectors is not None
    write(stack, topics.vectors, [(str(number).encode(), encoded(number), []) for number in range(POSTS)])
    killed = 0
    while killed < KILLS or not aborted(stack, topics):
        assert killed < 3 * KILLS, "no kill fell into a transaction"
        replica = "--batch-size", "32", "--replica", f"r{killed}"
        worker = start_cli("tests.relight", *FLAGS, *replica, env=topics.environment)
        worker.wait_for_output(" published ")
        time.sleep(chance.uniform(0, 0.15))  # when in its work it dies is left to chance
        assert worker.end(signal.SIGKILL) == -signal.SIGKILL
        killed += 1

    ended = run_cli("tests.relight", *FLAGS, "--stop-at-end", env=topics.environment)

    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count(" published ") < POSTS / 10, "it goes on one by one"
    # the transaction of the last that was killed hides what stands behind it
    wait_until(lambda: is_settled(stack, topics), what="every transaction ended")
    labels, dead = (read_all(stack, topic) for topic in (topics.output, topics.dead_letter))
    assert Counter(ids([*labels, *dead])) == Counter(map(str, range(POSTS)))
    assert set(ids(dead)) == {str(number) for number in range(0, POSTS, 20)}
    assert {LabeledPost.from_record(each).source.offset for each in labels} == {int(each) for each in ids(labels)}
    assert all(each.partition == int(each.key) % 6 for each in [*labels, *dead])


def aborted(stack: Stack, topics: Topics) -> int:
    """Labels that no reader of committed records ever sees."""
    both = [len(read_all(stack, topics.output, level)) for level in LEVELS]
    return both[0] - both[1]
