import uuid

import pytest
from kafka.admin import KafkaAdminClient

from deploy.local.stack import Stack
from producer.base.settings import TopicSettings
from producer.topics import Topic, admin_client, describe
from tests.conftest import RunCli

pytestmark = pytest.mark.usefixtures("stack")


@pytest.fixture
def names() -> dict[str, str]:
    name = f"posts-{uuid.uuid4().hex[:10]}"
    return {
        "PLACESTREAM_INPUT_TOPIC": name,
        "PLACESTREAM_OUTPUT_TOPIC": f"{name}-labeled",
        "PLACESTREAM_DEAD_LETTER_TOPIC": f"{name}-dlt",
    }


def found(stack: Stack, names: dict[str, str]) -> dict[str, Topic]:
    settings = TopicSettings.model_validate({"bootstrap_servers": stack.broker.address})
    with admin_client(settings) as admin:
        return describe(admin, list(names.values()))


def test_three_topics_are_created_and_left_alone_the_second_time(
    stack: Stack, names: dict[str, str], run_cli: RunCli
) -> None:
    posts, labels, dead_letters = names.values()
    first = run_cli("producer", "topics", "--partitions", "3", env=names)
    assert first.returncode == 0, first.stderr
    assert [line.split(",")[0] for line in first.stdout.splitlines()] == [
        f"{name}: created" for name in (posts, labels, dead_letters)
    ]
    there = found(stack, names)
    assert {topic.partitions for topic in there.values()} == {3}
    assert there[posts].config["message.timestamp.type"] == "LogAppendTime"
    assert there[posts].config["retention.ms"] == "604800000"
    assert there[posts].max_record_bytes == 16 * 1024 * 1024
    assert there[labels].config["retention.ms"] == there[dead_letters].config["retention.ms"] == "-1"
    assert there[dead_letters].max_record_bytes == 16 * 1024 * 1024 + 64 * 1024

    second = run_cli("producer", "topics", "--partitions", "3", env=names)
    assert second.returncode == 0, second.stderr
    assert second.stdout.splitlines() == [f"{name}: exists" for name in (posts, labels, dead_letters)]
    assert found(stack, names) == there


def test_existing_topics_say_how_they_differ_and_stay_as_they_are(
    stack: Stack, names: dict[str, str], run_cli: RunCli
) -> None:
    posts, labels, dead_letters = names.values()
    assert run_cli("producer", "topics", "--partitions", "3", env=names).returncode == 0
    there = found(stack, names)
    again = run_cli("producer", "topics", "--max-request-size", "1000000", env=names)
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[0] == (
        f"{posts}: exists; it differs: 3 partitions instead of 6, max.message.bytes=16777216 instead of 1000000"
    )
    assert found(stack, names) == there


def test_an_output_that_does_not_fit_ends_it_before_anything_is_created(
    stack: Stack, names: dict[str, str], run_cli: RunCli, admin: KafkaAdminClient
) -> None:
    posts, labels, dead_letters = names.values()
    admin.create_topics({labels: {"num_partitions": 2, "replication_factor": 1}}, wait_for_metadata=True)
    refused = run_cli("producer", "topics", env=names)
    assert refused.returncode == 1
    assert refused.stderr.splitlines() == [
        f"python -m producer topics: topic {labels} has 2 partitions, {posts} 6: "
        f"add partitions to {labels} (kafka-topics --alter), it needs at least as many"
    ]
    assert set(found(stack, names)) == {labels}


@pytest.mark.parametrize(
    ("arguments", "changes", "said"),
    [
        (["--replication-factor", "3"], {}, "cannot be created: "),
        ([], {"PLACESTREAM_INPUT_TOPIC": "no topic"}, "no topic"),
    ],
)
def test_what_the_broker_refuses_is_one_line(
    names: dict[str, str], run_cli: RunCli, arguments: list[str], changes: dict[str, str], said: str
) -> None:
    refused = run_cli("producer", "topics", *arguments, env=names | changes)
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert said in line


def test_no_broker_is_one_line(names: dict[str, str], run_cli: RunCli) -> None:
    nowhere = {"PLACESTREAM_BOOTSTRAP_SERVERS": "127.0.0.1:1", "PLACESTREAM_STARTUP_TIMEOUT": "1"}
    refused = run_cli("producer", "topics", env=names | nowhere)
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith(
        "python -m producer topics: no Kafka broker answers at 127.0.0.1:1 "
    )
    assert "Traceback" not in refused.stderr
