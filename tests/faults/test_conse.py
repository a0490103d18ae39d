"""The real encoder on real pictures, in workers killed at random moments.

Fewer posts, workers and kills than elsewhere: on two busy cores both label 15 such posts a second, and each start reads
560 MB of model, for 10 to 25 seconds.
"""

import random
import time
from contextlib import closing
from pathlib import Path

from producer.sample import write_sample
from tests.faults.feed import Feed
from tests.faults.pool import Pool

POSTS = 150
PER_SECOND = 5
TWO = ("a", "b")
KILLS = 3


def test_workers_with_the_real_encoder_killed_at_random_moments_lose_and_double_nothing(
    pool: Pool, seed: int, tmp_path: Path
) -> None:
    write_sample(tmp_path / "sample")
    pictures = [path.read_bytes() for path in sorted(tmp_path.rglob("*.jpg"))]
    chance = random.Random(seed)
    pool.module, pool.arguments = "consumer", ("label", "--encoder", "conse")
    with closing(Feed(pool.stack, pool.topics, seed, PER_SECOND, POSTS, pictures)) as feed:
        feed.start()
        pool.start(*TWO)
        while pool.killed < KILLS:
            pool.wait_published(*TWO)
            time.sleep(chance.uniform(0, 0.5))  # when in its work it dies is left to chance
            victim = chance.choice(TWO)
            pool.kill(victim)
            pool.start(victim)
        pool.wait_published(*TWO)
        pool.finish(feed)
    for name, worker in pool.workers.items():
        assert "encoder=conse/efficientnet-lite0+minilm-l6" in worker.output, name
