from pathlib import Path

from deploy.local.broker import Broker, server_properties
from deploy.local.kafka_jars import Kafka


def test_one_node_listens_on_loopback_and_needs_no_copies() -> None:
    properties = server_properties(1, 9000, {1: 9001}, Path("/data"))

    assert properties["listeners"] == "PLAINTEXT://127.0.0.1:9000,CONTROLLER://127.0.0.1:9001"
    assert properties["controller.quorum.voters"] == "1@127.0.0.1:9001"
    assert properties["auto.create.topics.enable"] == "false"
    assert properties["offsets.topic.replication.factor"] == "1"
    assert properties["transaction.state.log.replication.factor"] == "1"
    assert properties["transaction.state.log.min.isr"] == "1"


def test_three_nodes_keep_three_copies_and_need_two() -> None:
    properties = server_properties(2, 9000, {1: 9001, 2: 9002, 3: 9003}, Path("/data"))

    assert properties["listeners"].endswith("CONTROLLER://127.0.0.1:9002")
    assert properties["controller.quorum.voters"] == "1@127.0.0.1:9001,2@127.0.0.1:9002,3@127.0.0.1:9003"
    assert properties["offsets.topic.replication.factor"] == "3"
    assert properties["transaction.state.log.min.isr"] == "2"
    assert properties["min.insync.replicas"] == "2"


def test_properties_given_by_the_caller_win(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "meta.properties").touch()  # as if formatted
    kafka = Kafka(Path("java"), Path("jars"))
    broker = Broker(tmp_path, kafka, [9000, 9001], properties={"auto.create.topics.enable": "true"}, heap="256m")

    command = broker.command()

    written = dict(line.split("=", 1) for line in (tmp_path / "server.properties").read_text().splitlines())
    assert written["auto.create.topics.enable"] == "true"
    assert written["log.dirs"] == str(tmp_path / "data")
    assert command[0] == Path("java")
    assert "-Xmx256m" in command
    assert command[-2:] == ["kafka.Kafka", tmp_path / "server.properties"]
