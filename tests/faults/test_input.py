"""The input changes under a pool of workers: its oldest records expire unread, or it is deleted and recreated."""

import signal
import time
from collections import Counter
from contextlib import closing

from kafka import KafkaAdminClient, TopicPartition

from consumer.label.read import LOOK_EVERY
from tests.faults.feed import AT_LEAST, Feed
from tests.faults.invariants import came_out, ids
from tests.faults.pool import NAMES, Pool
from tests.integration.consumer.count.conftest import metric
from tests.wire import post, recreate, write

KEPT = 100
"""Records of each partition that do not expire."""
PATIENT = ("--session-timeout", "30")
"""The group keeps the workers while they are frozen."""


def start(pool: Pool, *flags: str) -> None:
    """Start all workers; each gets its partitions."""
    pool.start(*NAMES, flags=flags)
    for worker in pool.workers.values():
        worker.wait_for_output(" joined ")


def expired(pool: Pool) -> int:
    """Records that the workers have counted as expired."""
    partitions = range(pool.topics.partitions)
    samples = [f'placestream_expired_records_total{{partition="{number}"}}' for number in partitions]
    return int(sum(metric(worker, sample) for worker in pool.workers.values() for sample in samples))


def test_records_that_expire_below_the_committed_offsets_are_said_and_counted_and_nothing_else_is_lost(
    pool: Pool, seed: int, admin: KafkaAdminClient
) -> None:
    partitions = [TopicPartition(pool.topics.input, number) for number in range(pool.topics.partitions)]
    with closing(Feed(pool.stack, pool.topics, seed)) as feed:
        start(pool, *PATIENT)
        feed.write(AT_LEAST // 2)
        feed.flush()
        pool.wait_committed()
        for worker in pool.workers.values():
            worker.process.send_signal(signal.SIGSTOP)
        time.sleep(2)  # the broker answers the fetches that are under way, with nothing, after half a second
        feed.write(AT_LEAST // 2)
        feed.flush()
        each = AT_LEAST // len(partitions)
        admin.delete_records(dict.fromkeys(partitions, each - KEPT))
        for worker in pool.workers.values():
            worker.process.send_signal(signal.SIGCONT)
        pool.catch_up(feed)
        out = came_out(pool.stack, pool.topics, feed)
    lost = {post_id for number, post_id in enumerate(feed.sent) if each // 2 <= number // len(partitions) < each - KEPT}
    assert out.missing == lost
    assert not out.doubled
    assert set(ids(out.dead)) == feed.poison - lost
    assert expired(pool) == len(lost)
    logs = "".join(worker.output for worker in pool.workers.values())
    assert logs.count("records expired before they were read") == len(partitions)
    pool.end()


def test_a_recreated_topic_under_a_pool_comes_out_once_and_so_does_what_was_read_of_the_old_one(
    pool: Pool, seed: int, admin: KafkaAdminClient
) -> None:
    topic = pool.topics.input
    old = [f"old {number}" for number in range(300)]
    start(pool)
    write(pool.stack, topic, [post(post_id) for post_id in old])
    pool.wait_committed()
    recreate(admin, topic, pool.topics.partitions)
    time.sleep(LOOK_EVERY)  # so that the workers look at the topic before their next batch: sooner nothing is promised
    with closing(Feed(pool.stack, pool.topics, seed)) as feed:
        feed.write(AT_LEAST)
        pool.catch_up(feed)
        out = came_out(pool.stack, pool.topics, feed)
    assert Counter(ids([*out.labels, *out.dead])) == dict.fromkeys([*old, *feed.sent], 1)
    assert set(ids(out.dead)) == feed.poison
    assert any("recreated" in worker.output for worker in pool.workers.values())
    pool.end()
