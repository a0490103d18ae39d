import json
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from zipfile import ZipFile

import pytest
import redis
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from deploy.local.kafka_jars import find_kafka
from deploy.local.process import HOST
from deploy.local.redis_server import RedisServer, find_server
from deploy.local.server import StartError
from deploy.local.stack import Stack
from deploy.local.tools import PACKAGE, TOOLS
from tests.conftest import RunCli, StartCli, Topics, background, clean_environment, is_running, run_to_end, wait_until

ASK_BOTH = """
import json, os, sys, redis
from kafka.admin import KafkaAdminClient
brokers = KafkaAdminClient(bootstrap_servers=os.environ["PLACESTREAM_BOOTSTRAP_SERVERS"]).describe_cluster()["brokers"]
print(json.dumps([len(brokers), redis.from_url(os.environ["PLACESTREAM_REDIS_URL"]).ping()]))
sys.exit(7)
"""


@pytest.fixture
def temp(tmp_path: Path) -> Path:
    """The system's temporary folder of the commands that a test runs."""
    folder = tmp_path / "temp"
    folder.mkdir()
    return folder


@pytest.fixture
def start(tmp_path: Path, temp: Path) -> Iterator[StartCli]:
    with background(tmp_path, clean_environment() | {"TMPDIR": str(temp)}) as starting:
        yield starting


def listening(address: str) -> bool:
    with socket.socket() as client:
        return client.connect_ex((HOST, int(address.rsplit(":", 1)[1]))) == 0


def test_run_gives_the_command_both_servers_and_returns_its_exit_code(tmp_path: Path, temp: Path) -> None:
    environment = clean_environment() | {"TMPDIR": str(temp)}
    done = run_to_end(tmp_path, environment, "deploy.local", "run", "--", sys.executable, "-c", ASK_BOTH)

    assert done.returncode == 7, done.stderr
    assert json.loads(done.stdout) == [1, True]
    assert "kafka: answers at 127.0.0.1:" in done.stderr
    assert list(temp.iterdir()) == []


def test_up_prints_the_variables_outlives_kills_of_both_and_ctrl_c_ends_it(start: StartCli, temp: Path) -> None:
    up = start("deploy.local", "up")
    up.wait_for_output("export PLACESTREAM_REDIS_URL=")
    exported = dict(line.removeprefix("export ").split("=") for line in up.output.splitlines() if "export" in line)
    servers = [exported["PLACESTREAM_BOOTSTRAP_SERVERS"], exported["PLACESTREAM_REDIS_URL"].removesuffix("/0")]
    assert all(map(listening, servers))

    for name, pid in zip(("kafka", "redis"), re.findall(r"\(pid (\d+)\)", up.output), strict=True):
        os.kill(int(pid), signal.SIGKILL)
        up.wait_for_output(f"{name}: runs again")
    assert all(map(listening, servers))

    assert up.end(signal.SIGINT) == 0

    assert not any(map(listening, servers))
    assert list(temp.iterdir()) == []


def test_kill_9_leaves_no_server_and_no_command(start: StartCli, tmp_path: Path) -> None:
    program = (
        "import os, time; e = os.environ; "
        "print(os.getpid(), e['PLACESTREAM_BOOTSTRAP_SERVERS'], e['PLACESTREAM_REDIS_URL'][:-2], 'told', flush=True); "
        "time.sleep(600)"
    )
    run = start("deploy.local", "run", "--", sys.executable, "-c", program)
    run.wait_for_output("told")
    pid, *servers, _ = run.output.splitlines()[-1].split()
    assert all(map(listening, servers))

    os.kill(run.process.pid, signal.SIGKILL)  # it alone, not its process group

    wait_until(lambda: not any(map(listening, servers)), what="the end of broker and Redis")
    wait_until(lambda: not is_running(int(pid)), what="the end of the command")
    wait_until(lambda: not processes_naming(str(tmp_path)), what="the end of every process that uses the folder")


def processes_naming(text: str) -> list[str]:
    """Processes whose environment or command line contains `text`; Linux only, empty elsewhere."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if any(text.encode() in (folder / name).read_bytes() for name in ("environ", "cmdline")):
                found.append(folder.name)
        except OSError:  # gone, or another user's
            continue
    return found


def test_a_killed_broker_comes_back_with_its_records(stack: Stack, topics: Topics) -> None:
    producer = KafkaProducer(bootstrap_servers=stack.broker.address, allow_auto_create_topics=False)
    producer.send(topics.input, key=b"1", value=b"picture", partition=1).get(timeout=20)
    producer.close()
    address = stack.broker.address

    stack.broker.kill()
    assert not stack.broker.answers()
    stack.broker.restart()

    assert stack.broker.address == address
    consumer = KafkaConsumer(bootstrap_servers=address, auto_offset_reset="earliest", allow_auto_create_topics=False)
    try:
        consumer.assign([TopicPartition(topics.input, 1)])
        records: list[bytes] = []

        def read() -> bool:
            records.extend(record.value for batch in consumer.poll(500).values() for record in batch)
            return bool(records)

        wait_until(read, what="the record from before the kill")
        assert records == [b"picture"]
    finally:
        consumer.close()


def test_another_redis_on_the_port_is_not_taken_for_ours(stack: Stack, tmp_path: Path) -> None:
    second = RedisServer(tmp_path, find_server(), [stack.redis.port])

    with pytest.raises(StartError, match="Address already in use"):
        second.start()


def test_a_killed_redis_comes_back_with_its_keys(stack: Stack, redis_client: redis.Redis, counter_prefix: str) -> None:
    redis_client.set(f"{counter_prefix}:before", "kill")

    stack.redis.kill()
    stack.redis.restart()

    assert redis_client.get(f"{counter_prefix}:before") == "kill"


def test_kafkas_own_programs_take_their_own_arguments(run_cli: RunCli, topics: Topics, stack: Stack) -> None:
    listed = run_cli("deploy.local", "kafka-topics", "--bootstrap-server", stack.broker.address, "--list")

    assert listed.returncode == 0, listed.stderr
    assert topics.input in listed.stdout.splitlines()
    with ExitStack() as jars:
        found = [jars.enter_context(ZipFile(jar)) for jar in find_kafka(jars_of="kafka-tools").jars.iterdir()]
        classes = {name for jar in found for name in jar.namelist()}
    assert classes >= {f"{PACKAGE}.{main}".replace(".", "/") + ".class" for main in TOOLS.values()}
