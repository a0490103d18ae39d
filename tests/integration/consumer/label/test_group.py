"""Workers of one group on one machine."""

import signal
from contextlib import closing

from kafka import KafkaConsumer

from deploy.local.stack import Stack
from tests.conftest import MakeTopics, RunCli, StartCli, Topics, wait_until
from tests.integration.consumer.label.conftest import QUICK
from tests.wire import post, read_all, write


def test_two_workers_share_the_partitions_and_a_third_of_a_living_name_is_told_so(
    stack: Stack, make_topics: MakeTopics, start_cli: StartCli, run_cli: RunCli
) -> None:
    topics = make_topics(4)
    workers = [start_cli("tests.light", *QUICK, "--replica", name, env=topics.environment) for name in ("one", "two")]
    for worker in workers:
        worker.wait_for_output("joined")
    for worker in workers:  # the second one's coming takes partitions from the first
        wait_until(lambda w=worker: last_assignment(w.output).count("@") == 2, what="two partitions each")  # type: ignore[misc]

    write(stack, topics.input, [post(str(number)) for number in range(40)])
    wait_until(lambda: len(read_all(stack, topics.output)) >= 40, what="every post labelled")
    third = run_cli("tests.light", *QUICK, "--replica", "two", env=topics.environment)
    write(stack, topics.input, [post("the good one that must come out")])
    wait_until(lambda: len(read_all(stack, topics.output)) >= 41, what="the last post labelled")

    assert third.returncode == 1
    assert "uses replica two" in third.stderr.strip().splitlines()[-1]
    ids = [record.key.decode() for record in read_all(stack, topics.output)]
    assert sorted(ids) == sorted([*map(str, range(40)), "the good one that must come out"])
    for worker in workers:
        assert "published" in worker.output
        assert worker.end() == 0


def test_a_worker_that_is_killed_is_replaced_by_one_of_the_same_name_and_nothing_is_doubled(
    stack: Stack, topics: Topics, start_cli: StartCli
) -> None:
    write(stack, topics.input, [post(str(number), caption="a green place") for number in range(600)])

    first = start_cli(
        "tests.faults.light",
        *QUICK,
        env=topics.environment | {"FAULTS_WINDOW": "right before commit", "FAULTS_AT": "6"},
    )
    assert first.wait() == -signal.SIGKILL, first.output
    assert 0 < len(read_all(stack, topics.output)) < 600
    second = start_cli("tests.light", *QUICK, "--stop-at-end", env=topics.environment)

    assert second.wait() == 0, second.output
    ids = sorted(int(record.key) for record in read_all(stack, topics.output))
    assert ids == list(range(600))


def test_a_stop_is_obeyed_while_the_model_is_busy_and_what_it_held_comes_again(
    stack: Stack, make_topics: MakeTopics, start_cli: StartCli, run_cli: RunCli
) -> None:
    topics = make_topics(1)
    slow = [post(str(number), colour=(90, 100, 90), caption="takes 600 s") for number in range(12)]
    write(stack, topics.input, [post("quick"), *slow])
    worker = start_cli("tests.light", *QUICK, "--batch-size", "1", "--drain-timeout", "1", env=topics.environment)
    worker.wait_for_output("published")

    assert worker.end() == 0, worker.output
    assert "it comes again" in worker.output
    assert [record.key for record in read_all(stack, topics.output)] == [b"quick"]
    only_image = run_cli("tests.light", *QUICK, "--ensemble", "only-image", "--stop-at-end", env=topics.environment)
    assert only_image.returncode == 0
    assert len(read_all(stack, topics.output)) == 13


def test_a_stop_before_the_loop_ends_at_once(start_cli: StartCli) -> None:
    worker = start_cli("tests.light", *QUICK, "--bootstrap-servers", "127.0.0.1:1")
    worker.wait_for_output("not ready yet")

    assert worker.end() == 0, worker.output
    assert "stopped before it began" in worker.output


def last_assignment(output: str) -> str:
    lines = [line for line in output.splitlines() if " assigned " in line]
    return lines[-1] if lines else ""


def test_a_worker_that_the_group_leaves_waiting_says_so_and_joins_again(
    stack: Stack, topics: Topics, start_cli: StartCli
) -> None:
    with closing(
        KafkaConsumer(
            topics.input, group_id=topics.input, bootstrap_servers=stack.broker.address, auto_offset_reset="earliest"
        )
    ) as silent:  # it lives, but does not poll when the group asks everyone to join again
        wait_until(lambda: silent.poll(timeout_ms=200) or silent.assignment(), what="a member that will not answer")
        worker = start_cli(
            "tests.light", *QUICK, "--stuck-after", "2", "--startup-timeout", "90", env=topics.environment
        )
        worker.wait_for_output("the group has given no partitions out for 2 s")
    write(stack, topics.input, [post(str(number)) for number in range(8)])
    wait_until(lambda: len(read_all(stack, topics.output)) == 8, what="every post labelled")

    assert " resync cause=stuck " in worker.output
    assert worker.end() == 0, worker.output
