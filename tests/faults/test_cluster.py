"""Three nodes with three copies of everything, each node killed with `kill -9` in its turn: workers just go on."""

import random
import time
from collections.abc import Iterator
from functools import partial

import pytest

from tests.conftest import MakeTopics, wait_until
from tests.faults.cluster import NODES, Cluster
from tests.faults.feed import feeding
from tests.faults.pool import NAMES, Pool

PER_SECOND = 60
"""Posts; three nodes are slow on two cores, and what piles up while they come back has to be labelled in the end."""


@pytest.fixture(scope="module")
def stack() -> Iterator[Cluster]:
    """In the place of one broker."""
    with Cluster() as running:
        yield running


@pytest.fixture
def make_topics(make_topics: MakeTopics) -> MakeTopics:
    """As everywhere, but every topic has a copy on each node."""
    return partial(make_topics, copies=NODES)


def test_workers_go_on_while_a_node_of_three_is_down(pool: Pool, seed: int, stack: Cluster) -> None:
    chance = random.Random(seed)
    pool.start(*NAMES)
    with feeding(pool.stack, pool.topics, seed, PER_SECOND) as feed:
        pool.wait_published(*NAMES)
        early = len(pool.mended)
        for node in chance.sample(stack.nodes, NODES):
            pool.wait_published(*NAMES)
            wait_until(stack.is_in_sync, what="every copy is in sync")
            led = stack.leads(node)
            assert led
            time.sleep(chance.uniform(0, 0.3))  # when in the workers' work it dies is left to chance
            node.kill()
            pool.wait_published(*NAMES)
            assert not node.running
            print(f"node {node.node_id} killed, it led {led} partitions; every worker published without it")
            node.start()
        wait_until(stack.is_in_sync, what="every copy is in sync")
        pool.finish(feed)
    assert all("fenced" in last for last in pool.mended[early:]), pool.mended
