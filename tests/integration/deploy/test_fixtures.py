"""The fixtures that every other integration test builds on."""

import redis

from tests.conftest import RunCli, StartCli, Topics


def test_commands_find_the_topics_of_the_stack(run_cli: RunCli, topics: Topics) -> None:
    done = run_cli("producer", "topics", env=topics.environment)

    assert done.returncode == 0, done.stderr
    assert f"{topics.input}: exists" in done.stdout


def test_redis_answers(redis_client: redis.Redis, counter_prefix: str) -> None:
    redis_client.hincrby(f"{counter_prefix}:posts:newyork", "bridge", 2)

    assert redis_client.hgetall(f"{counter_prefix}:posts:newyork") == {"bridge": "2"}


def test_a_background_command_shows_its_output_and_ends_with_its_code(start_cli: StartCli, topics: Topics) -> None:
    started = start_cli("producer", "topics", env=topics.environment)

    started.wait_for_output("exists")
    assert started.wait() == 0
