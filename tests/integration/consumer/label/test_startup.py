"""What a person sees when `label` cannot start: one clear line, exit code 1 or 2, no traceback, nothing created."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient

from tests.conftest import RunCli, Topics

LABEL = ("label", "--metrics-port", "0", "--encoder", "conse")
NOBODY = ("--bootstrap-servers", "127.0.0.1:1", "--startup-timeout", "1")


@pytest.fixture
def busy_port() -> Iterator[int]:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def last_line(run_cli: RunCli, *flags: str, code: int, env: dict[str, str] | None = None) -> str:
    """The last line that `consumer FLAGS…` writes; it must end with `code` and without a traceback."""
    ended = run_cli("consumer", *flags, env=env)
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    line = ended.stderr.strip().splitlines()[-1]
    assert line.startswith(f"python -m consumer {flags[0]}: "), ended.stderr
    return line


def test_no_broker_is_one_line_and_nothing_says_the_secret(run_cli: RunCli) -> None:
    secured = {"SECURITY_PROTOCOL": "SASL_PLAINTEXT", "SASL_MECHANISM": "PLAIN", "SASL_USERNAME": "worker"}
    env = {f"PLACESTREAM_{name}": value for name, value in (secured | {"SASL_PASSWORD": "hunter2-secret"}).items()}
    ended = run_cli("consumer", *LABEL, *NOBODY, env=env)

    assert ended.returncode == 1
    line = ended.stderr.strip().splitlines()[-1]
    assert line.startswith("python -m consumer label: no Kafka broker answers at 127.0.0.1:1")
    assert "BOOTSTRAP_SERVERS" in line
    assert "settings" in ended.stderr
    assert not any(said in ended.stdout + ended.stderr for said in ("hunter2", "Traceback"))


def test_a_topic_that_does_not_exist_is_not_created(run_cli: RunCli, topics: Topics, admin: KafkaAdminClient) -> None:
    line = last_line(run_cli, *LABEL, "--input-topic", "mistyped", env=topics.environment, code=1)

    assert "topic mistyped does not exist" in line
    assert "python -m producer topics" in line
    assert "mistyped" not in admin.list_topics()


def test_topics_that_do_not_fit_together(run_cli: RunCli, topics: Topics, admin: KafkaAdminClient) -> None:
    narrow = {"num_partitions": 1, "replication_factor": 1}
    small = {"num_partitions": 2, "replication_factor": 1, "configs": {"max.message.bytes": "1000000"}}
    admin.create_topics({f"{topics.input}-narrow": narrow, f"{topics.input}-small": small})

    partitions = last_line(run_cli, *LABEL, "--output-topic", f"{topics.input}-narrow", env=topics.environment, code=1)
    limit = last_line(run_cli, *LABEL, "--dead-letter-topic", f"{topics.input}-small", env=topics.environment, code=1)

    assert f"{topics.input}-narrow has 1 partitions" in partitions
    assert "max.message.bytes" in limit


def test_a_busy_metrics_port(run_cli: RunCli, busy_port: int) -> None:
    line = last_line(run_cli, "label", "--metrics-port", str(busy_port), code=1)

    assert f"127.0.0.1:{busy_port}" in line
    assert "METRICS_PORT" in line


@pytest.mark.parametrize(
    ("flags", "env", "named"),
    [(("--batch-size", "0"), {}, "BATCH_SIZE"), ((), {"PLACESTREAM_BATCH_DEADLINE": "soon"}, "BATCH_DEADLINE")],
)
def test_a_nonsense_setting_ends_before_anything_is_connected(
    run_cli: RunCli, flags: Sequence[str], env: dict[str, str], named: str
) -> None:
    assert named in last_line(run_cli, "label", *flags, *NOBODY, env=env, code=2)


def test_an_unreadable_checkpoint(run_cli: RunCli, topics: Topics, tmp_path: Path) -> None:
    checkpoint = tmp_path / "weights.pt"
    checkpoint.write_bytes(b"no checkpoint at all")

    flags = ("--metrics-port", "0", "--pretrained", str(checkpoint))
    line = last_line(run_cli, "label", *flags, env=topics.environment, code=1)

    assert str(checkpoint) in line


def test_weights_that_cannot_be_had_name_both_ways_out(run_cli: RunCli, topics: Topics) -> None:
    line = last_line(run_cli, "label", "--metrics-port", "0", env=topics.environment, code=1)

    assert "--pretrained" in line
    assert "--encoder conse" in line
