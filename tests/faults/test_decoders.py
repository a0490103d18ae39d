"""Decoder processes are killed at random, as the memory killer does: no picture is to blame, and none dies of it."""

import os
import random
import signal
import time
from contextlib import suppress

from tests.faults.feed import feeding
from tests.faults.pool import NAMES, Pool
from tests.processes import children

KILLS = 40


def test_decoders_killed_at_random_cost_no_post(pool: Pool, seed: int) -> None:
    chance, killed = random.Random(seed), 0
    pool.start(*NAMES)
    with feeding(pool.stack, pool.topics, seed) as feed:
        while killed < KILLS:
            pool.wait_published(*NAMES)  # so that no picture is hit three times
            time.sleep(chance.uniform(0, 0.1))  # when in its work it dies is left to chance
            for worker in pool.workers.values():
                with suppress(IndexError, ProcessLookupError):  # none is there this moment
                    os.kill(chance.choice(children(worker.process.pid)), signal.SIGKILL)
                    killed += 1
        pool.finish(feed)
    assert not pool.mended
