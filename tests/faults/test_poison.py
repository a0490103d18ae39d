"""Poison at every place of a batch: it dies alone, its neighbours are labelled, nothing comes twice."""

import re
from contextlib import closing

from tests.faults.feed import AT_LEAST, Feed
from tests.faults.pool import NAMES, Pool

SIZE = 8
IN_A_ROW = 3 * SIZE


def test_poison_at_the_first_middle_and_last_place_and_batches_of_nothing_else(pool: Pool, seed: int) -> None:
    pool.module = "tests.faults.light"
    with closing(Feed(pool.stack, pool.topics, seed)) as feed:
        feed.write(AT_LEAST // 2, poison=0.1)
        feed.write(IN_A_ROW * pool.topics.partitions, poison=1)  # so many in a row in every partition
        feed.write(AT_LEAST // 2, poison=0.1)
        pool.start(*NAMES, FAULTS_SHOW_BATCHES="1")
        pool.finish(feed)

    logs = [worker.output for worker in pool.workers.values()]
    batches = [shown.split() for log in logs for shown in re.findall(r"^batch (.*)$", log, re.MULTILINE)]
    dead = [
        [number for number, post in enumerate(batch) if post in feed.poison] for batch in batches if len(batch) == SIZE
    ]
    places = {"first": dead.count([0]), "last": dead.count([SIZE - 1]), "all": dead.count(list(range(SIZE)))}
    places["middle"] = sum(len(places) == 1 and 0 < places[0] < SIZE - 1 for places in dead)
    print(f"batches {len(batches)}, poison alone at the place, or all: {places}")
    assert all(places.values())
