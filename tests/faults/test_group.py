"""A worker that joins, leaves and joins again under load."""

import random
import time

from tests.faults.feed import feeding
from tests.faults.pool import Pool

TIMES = 5


def test_a_worker_that_comes_and_goes_under_load_loses_and_doubles_nothing(pool: Pool, seed: int) -> None:
    chance = random.Random(seed)
    pool.start("a", "b")
    with feeding(pool.stack, pool.topics, seed) as feed:
        pool.wait_published("a", "b")
        for _ in range(TIMES):
            pool.start("c")
            pool.wait_published("c")  # it has partitions of the others
            time.sleep(chance.uniform(0, 0.3))  # when in its work it leaves is left to chance
            leaving = pool.workers.pop("c")
            assert leaving.end() == 0, leaving.output[-3000:]
            assert "Traceback" not in leaving.output
            pool.wait_published("a", "b")
        pool.start("c")
        pool.wait_published("c")
        pool.finish(feed)
