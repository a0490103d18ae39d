"""An encoder that runs out of memory, ends its thread or never comes back: what it cannot do alone is all that dies."""

import urllib.error
import urllib.request
from contextlib import closing

from consumer.dead_letter import REASON
from tests.conftest import Background, wait_until
from tests.faults.failing import ENDS, HANGS, HUGE, ROOM, SMALL
from tests.faults.feed import AT_LEAST, Feed, feeding
from tests.faults.pool import NAMES, Pool
from tests.wire import read_all


def test_batches_too_large_for_the_memory_are_halved_and_a_post_too_large_for_it_dies_alone(
    pool: Pool, seed: int
) -> None:
    pool.module = "tests.faults.failing"
    with closing(Feed(pool.stack, pool.topics, seed)) as feed:
        for _ in range(AT_LEAST // 100):
            feed.write(99)
            feed.write(1, poison=1, poisons=[HUGE])  # never two in one batch: that would be a broken model
        pool.start(*NAMES, FAULTS_ENCODER=SMALL)
        pool.finish(feed)
    logs = "".join(worker.output for worker in pool.workers.values())
    failed = {size: logs.count(f"out of memory: {size} pictures") for size in range(1, 9)}
    print(f"out of memory, by number of pictures: {failed}")
    assert failed[ROOM + 1] + failed[8] > 0  # halved, although every post of it can be encoded
    assert failed[2] > 0  # halved to the last: a huge one and its neighbour
    reasons = [dict(record.headers)[REASON] for record in read_all(pool.stack, pool.topics.dead_letter)]
    assert reasons.count(b"encode_failed") == AT_LEAST // 100


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
        hanging = pool.workers["b"]
        hanging.wait_for_output(f"reached: {HANGS}")
        wait_until(lambda: health(hanging) == 503, what="/healthz says that it hangs")
        assert health(pool.workers["c"]) == 200
        pool.finish(feed)  # it ends b in good order as well
    assert f"reached: {ENDS}" in dead.output
    assert "Traceback" not in dead.output
    last = dead.output.splitlines()[-1]
    print(last)
    assert ": the encoder light ended its thread" in last
    # The batch before the hanging one may be published while the model has begun the next; nothing after it.
    assert hanging.output.partition("reached: ")[2].count(" published ") <= 1


def health(worker: Background) -> int:
    """The status of its /healthz."""
    address = worker.output.partition("address=")[2].partition("/metrics")[0]
    try:
        with urllib.request.urlopen(f"{address}/healthz", timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
