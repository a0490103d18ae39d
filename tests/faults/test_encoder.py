"""An encoder that runs out of memory, ends its thread or never comes back: what it cannot do alone is all that dies."""

from collections import Counter
from contextlib import closing

import pytest

from consumer.dead_letter import REASON
from tests.faults.failing import DEADLY, DIES_OF_IT, ENDS, HANGS, HANGS_OF_IT, HUGE, ROOM, SMALL
from tests.faults.feed import AT_LEAST, Feed, feeding
from tests.faults.pool import NAMES, Pool
from tests.wire import read_all


def test_batches_too_large_for_the_memory_are_halved_and_a_post_too_large_for_it_dies_alone(
    pool: Pool, seed: int
) -> None:
    pool.module = "tests.faults.failing"
    with closing(Feed(pool.stack, pool.topics, seed)) as feed:
        feed.write(AT_LEAST, poison=0.01, poisons=[HUGE])
        pool.start(*NAMES, FAULTS_ENCODER=SMALL)
        pool.finish(feed)
    logs = "".join(worker.output for worker in pool.workers.values())
    failed = {size: logs.count(f"out of memory: {size} pictures") for size in range(1, 9)}
    print(f"out of memory, by number of pictures: {failed}")
    assert failed[ROOM + 1] + failed[8] > 0  # halved, although every post of it can be encoded
    assert failed[2] > 0  # halved to the last: a huge one and its neighbour
    reasons = [dict(record.headers)[REASON] for record in read_all(pool.stack, pool.topics.dead_letter)]
    assert Counter(reasons) == {b"encode_failed": len(feed.poison)}


def test_a_worker_whose_model_thread_dies_ends_and_one_whose_model_hangs_loses_its_work_to_others(
    pool: Pool, seed: int
) -> None:
    pool.module = "tests.faults.failing"
    pool.start("a", FAULTS_ENCODER=ENDS)
    pool.start("b", flags=("--max-poll-interval", "8", "--drain-timeout", "2"), FAULTS_ENCODER=HANGS)
    pool.start("c")
    with feeding(pool.stack, pool.topics, seed) as feed:
        dead = pool.workers.pop("a")  # nobody starts it again
        assert dead.wait() == 1, dead.output[-3000:]
        hanging = pool.workers.pop("b")
        assert hanging.wait() == 1, hanging.output[-3000:]
        pool.finish(feed)
    assert f"reached: {ENDS}" in dead.output
    assert "Traceback" not in dead.output
    last = dead.output.splitlines()[-1]
    assert ": the encoder light ended its thread" in last
    assert f"reached: {HANGS}" in hanging.output
    assert ": a batch is in the model for more than 80% of MAX_POLL_INTERVAL" in hanging.output.splitlines()[-1]
    # The batch before the hanging one may be published while the model has begun the next; nothing after it.
    assert hanging.output.partition("reached: ")[2].count(" published ") <= 1


@pytest.mark.parametrize("fault", [DIES_OF_IT, HANGS_OF_IT])
def test_a_record_of_which_every_worker_ends_is_found_and_its_neighbours_are_labelled(
    fault: str, pool: Pool, seed: int
) -> None:
    pool.module = "tests.faults.failing"
    pool.may_die = True
    pool.may_end = (*pool.may_end, "a batch is in the model for more than 80% of MAX_POLL_INTERVAL")
    with closing(Feed(pool.stack, pool.topics, seed)) as feed:
        feed.write(AT_LEAST // 6, poison=0)
        feed.write(1, poison=1, poisons=[DEADLY])
        if fault == DIES_OF_IT:  # of a hanging one nothing comes behind it: the worker must see it all the same
            feed.write(AT_LEAST // 6, poison=0)
        pool.start("a", "b", flags=("--max-poll-interval", "8"), FAULTS_ENCODER=fault)
        pool.finish(feed)
    reasons = [dict(record.headers)[REASON] for record in read_all(pool.stack, pool.topics.dead_letter)]
    assert reasons == [b"poison"]
