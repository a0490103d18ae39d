"""Transactions that fail at the real broker, with the next batch in the model: neither batch is lost or comes twice."""

import re

from tests.faults.feed import feeding
from tests.faults.invariants import aborted
from tests.faults.pool import NAMES, Pool
from tests.faults.refused import EXPIRES, FENCED, LARGE, STALE

PER_SECOND = 300


def test_a_send_that_expires_in_an_otherwise_healthy_transaction_loses_nothing(pool: Pool, seed: int) -> None:
    # kafka-python's commit returns normally without the expired records (consumer/kafka/README.md, fact 7)
    pool.module = "tests.faults.refused"
    pool.start("a", FAULTS_REFUSAL=EXPIRES)
    pool.start("b", "c")
    worker = pool.workers["a"]
    with feeding(pool.stack, pool.topics, seed, PER_SECOND) as feed:
        worker.wait_for_output(f"refused: {EXPIRES}")
        pool.wait_published(*NAMES)
        pool.finish(feed)
    ((expired, kept, of),) = re.findall(
        r"^expired: (\d+) of (\d+) kept back, (\d+) in all$", worker.output, re.MULTILINE
    )
    gone = aborted(pool.stack, pool.topics)
    print(f"{expired} of {of} records expired; aborted records in the log: {gone}")
    assert int(expired) == int(kept) > 0
    assert " resync cause=publish why=" in worker.output
    assert gone >= int(of) - int(kept) > 0  # the broker had the others


def test_a_batch_refused_while_the_next_is_in_the_model_comes_out_once_and_so_does_the_next(
    pool: Pool, seed: int
) -> None:
    refusals = {  # worker -> what is refused, and the error that says so
        "a": (LARGE, "MessageSizeTooLargeError"),
        "b": (STALE, "CommitFailedError"),
        "c": (FENCED, "ProducerFencedError"),
    }
    pool.module = "tests.faults.refused"
    refused = {}
    with feeding(pool.stack, pool.topics, seed, PER_SECOND) as feed:
        for name, (refusal, _) in refusals.items():
            pool.start(name, FAULTS_REFUSAL=refusal)
            refused[name] = pool.workers[name]
            refused[name].wait_for_output(f"refused: {refusal}")
            pool.wait_published(name)
        pool.finish(feed)
    for name, (refusal, error) in refusals.items():
        said, _, after = refused[name].output.partition(f"refused: {refusal}; ")[2].partition("\n")
        assert re.fullmatch(r"posts \d+.*; in the model \d+.*", said)
        assert error in after.splitlines()[0]
