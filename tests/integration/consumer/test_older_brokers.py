"""Brokers that can do less: without ids of topics, without word of forgotten transactions, without fences."""

from pathlib import Path

import pytest

from consumer.origin import SOURCE_TOPIC_ID
from deploy.local.stack import Stack
from tests.conftest import RunCli, Topics
from tests.integration.consumer.label.conftest import ONCE, came_out, ids
from tests.wire import post, read_all, write


def test_without_ids_of_topics_and_word_of_transactions_each_post_comes_out_once_is_counted_and_exported(
    stack: Stack, topics: Topics, run_cli: RunCli, counter_prefix: str, tmp_path: Path
) -> None:
    def run(*arguments: str) -> str:
        environment = topics.environment | {"PLACESTREAM_COUNTER_PREFIX": counter_prefix}
        ended = run_cli("tests.older", "2.7", *arguments, env=environment)
        assert ended.returncode == 0, ended.stderr
        assert "Traceback" not in ended.stderr
        return ended.stderr

    write(stack, topics.input, [post(str(number)) for number in range(4)])
    said = run("tests.light", *ONCE)
    assert said.count("the broker gives topics no ids") == 1
    assert said.count("the broker cannot say which transactions it forgot") == 1
    run("consumer", "count", "--stop-at-end", "--metrics-port", "0")

    write(stack, topics.input, [*(post(str(number)) for number in range(4, 6)), (b"6", b"no picture", [])])
    run("tests.light", *ONCE)
    assert came_out(stack, topics) == ids(7)
    assert SOURCE_TOPIC_ID not in {name for label in read_all(stack, topics.output) for name, _ in label.headers}

    run("consumer", "count", "--stop-at-end", "--metrics-port", "0")
    run("consumer", "recount")
    run("consumer", "verify")
    run("consumer", "export", "-o", str(tmp_path / "export"))
    run("consumer", "dead-letters", "replay")


@pytest.mark.parametrize("version", ["2.4", "0.10"])
def test_a_broker_that_does_not_fence_is_refused(topics: Topics, run_cli: RunCli, version: str) -> None:
    ended = run_cli("tests.older", version, "tests.light", *ONCE, env=topics.environment)

    assert ended.returncode == 1
    assert "does not fence a worker that has lost its partitions" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
