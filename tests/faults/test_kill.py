"""Workers killed with `kill -9` at random moments, and started again under their names.

With many thousand posts, one in twenty of them poison, this is the longest run with bad posts as well.
"""

import random
import time

from tests.conftest import wait_until
from tests.faults.feed import feeding
from tests.faults.invariants import aborted
from tests.faults.pool import NAMES, Pool

KILLS = 20


def test_twenty_workers_killed_at_random_moments_lose_and_double_nothing(pool: Pool, seed: int) -> None:
    chance = random.Random(seed)
    pool.start(*NAMES)
    with feeding(pool.stack, pool.topics, seed) as feed:
        while pool.killed < KILLS or not aborted(pool.stack, pool.topics):
            assert pool.killed < 3 * KILLS, "no kill fell into a transaction"
            victims = chance.sample(NAMES, chance.choice((2, 2, 3)))
            pool.wait_published(*victims)
            time.sleep(chance.uniform(0, 0.3))  # when in its work it dies is left to chance
            pool.kill(*victims)
            pool.start(*victims)
            if chance.random() < 0.5:  # and some die while they start or join
                early = pool.workers[victims[0]]
                wait_until(lambda worker=early: "settings" in worker.output, what="a start")  # type: ignore[misc]
                time.sleep(chance.uniform(0, 1.5))
                pool.kill(victims[0])
                pool.start(victims[0])
        pool.wait_published(*NAMES)
        pool.finish(feed)
