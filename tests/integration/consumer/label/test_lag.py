"""Lag and age as a worker shows them: of records, and nothing else of a topic; whatever the worker does."""

import math
import os
import re
import signal
import threading
import time
import tracemalloc
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from prometheus_client import CollectorRegistry

from consumer.kafka import lag as behind
from consumer.kafka.offsets import append_time
from consumer.label import lag
from consumer.label.group import build_admin
from consumer.label.lag import Lag, Waiting
from consumer.label.settings import LabelSettings
from consumer.metrics import LabelMetrics
from deploy.local.broker import Broker
from deploy.local.kafka_jars import find_kafka
from deploy.local.server import to_stderr
from deploy.local.stack import Stack
from tests.conftest import Background, MakeTopics, StartCli, Topics, wait_until
from tests.integration.consumer.label.conftest import QUICK
from tests.wire import post, read_all, write

MINUTE = 60_000
"""In ms."""


def gauge(worker: Background, name: str) -> dict[int, float]:
    """A gauge's values by partition."""
    (address,) = re.findall(r"metrics address=(\S+)", worker.output)
    with urllib.request.urlopen(address, timeout=30) as answer:
        exposed = answer.read().decode()
    found = re.findall(rf'^placestream_{name}\{{partition="(\d+)"\}} (\S+)$', exposed, re.MULTILINE)
    return {int(partition): float(value) for partition, value in found}


def lags(worker: Background) -> dict[int, float]:
    return gauge(worker, "consumer_lag_records")


def slow(post_id: str) -> Any:
    """A post whose caption takes the encoder ten minutes."""
    return post(post_id, colour=(90, 100, 90), caption="takes 600 s")


def test_markers_and_aborted_records_at_the_end_of_a_transactional_input_are_no_lag(
    stack: Stack, topics: Topics, start_cli: StartCli
) -> None:
    with closing(KafkaProducer(bootstrap_servers=stack.broker.address, transactional_id=topics.input)) as producer:
        producer.init_transactions()
        for end in (producer.commit_transaction, producer.abort_transaction):
            producer.begin_transaction()
            for number in range(10):
                key, value, headers = post(str(number))
                producer.send(topics.input, value, key, headers, partition=number % 2)
            producer.flush()
            end()
    worker = start_cli("tests.light", "--metrics-port", "0", "--stuck-after", "1", env=topics.environment)

    worker.wait_for_output(" published ")
    wait_until(lambda: lags(worker) == {0: 0, 1: 0}, what="no lag")
    assert worker.end() == 0
    assert "resync cause=stuck" not in worker.output


def test_lag_and_age_grow_while_one_batch_holds_the_worker(stack: Stack, topics: Topics, start_cli: StartCli) -> None:
    worker = start_cli("tests.light", *QUICK, "--batch-size", "1", "--drain-timeout", "1", env=topics.environment)
    worker.wait_for_output(" joined ")
    wait_until(lambda: lags(worker) == gauge(worker, "oldest_waiting_seconds") == {0: 0, 1: 0}, what="no lag")

    write(stack, topics.input, [slow("slow")])
    wait_until(lambda: lags(worker) == {0: 1, 1: 0}, what="the lag of one post")
    write(stack, topics.input, [post(str(number)) for number in range(200)])
    wait_until(lambda: lags(worker) == {0: 101, 1: 100}, what="the lag of all posts")
    wait_until(lambda: gauge(worker, "oldest_waiting_seconds")[0] > 2 * behind.EVERY, what="the post grows older")

    assert 0 < gauge(worker, "oldest_waiting_seconds")[1] < gauge(worker, "oldest_waiting_seconds")[0]
    assert gauge(worker, "committed_offset") == {0: 0, 1: 0}
    assert " published " not in worker.output
    assert worker.end() == 0, worker.output


def test_after_a_rebalance_only_assigned_partitions_have_gauges(make_topics: MakeTopics, start_cli: StartCli) -> None:
    topics = make_topics(4)
    names = ("consumer_lag_records", "oldest_waiting_seconds", "committed_offset")
    first = start_cli("tests.light", *QUICK, "--replica", "first", env=topics.environment)
    first.wait_for_output(" joined ")
    wait_until(lambda: set(lags(first)) == {0, 1, 2, 3}, what="all partitions")
    second = start_cli("tests.light", *QUICK, "--replica", "second", env=topics.environment)
    second.wait_for_output(" joined ")

    def is_shared() -> bool:
        shown = [[set(gauge(worker, name)) for name in names] for worker in (first, second)]
        return all(len(own[0]) == 2 and own == own[:1] * 3 for own in shown) and shown[0][0].isdisjoint(shown[1][0])

    wait_until(is_shared, what="two partitions each")
    for worker in (first, second):
        assert worker.end() == 0, worker.output


def test_a_held_worker_that_lost_its_partitions_shows_where_the_group_stands(
    stack: Stack, topics: Topics, start_cli: StartCli, tmp_path: Path
) -> None:
    flags = (*QUICK, "--max-poll-interval", "6")
    before_publishing = ("consumer.label.read:Source.check", "1", str(tmp_path / "go on"))
    held = start_cli(
        "tests.integration.hold", *before_publishing, "tests.light", *flags, "--replica", "held", env=topics.environment
    )
    held.wait_for_output(" joined ")
    write(stack, topics.input, [post(str(number)) for number in range(20)])
    held.wait_for_output("held\n")
    wait_until(lambda: lags(held) == {0: 10, 1: 10}, what="all of it waits")

    other = start_cli("tests.light", *QUICK, "--replica", "other", env=topics.environment)
    wait_until(lambda: len(read_all(stack, topics.output)) == 20, what="another one labels its posts")

    wait_until(lambda: lags(held) == {0: 0, 1: 0}, what="the held one knows")
    assert gauge(held, "committed_offset") == {0: 10, 1: 10}
    assert " published " not in held.output
    (tmp_path / "go on").touch()
    for worker in (held, other):
        assert worker.end() == 0, worker.output
    assert len(read_all(stack, topics.output)) == 20


@pytest.fixture
def admin(stack: Stack) -> Iterator[KafkaAdminClient]:
    with closing(build_admin(settings(stack.broker))) as client:
        yield client


def settings(broker: Broker, group: str = "placestream") -> LabelSettings:
    return LabelSettings.model_validate({"bootstrap_servers": broker.address, "group_id": group})


def create(admin: KafkaAdminClient, topic: str, **configs: str) -> TopicPartition:
    admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1, "configs": configs}})
    admin.wait_for_topics([topic])
    return TopicPartition(topic, 0)


def append(broker: Broker, partition: TopicPartition, values: list[bytes], at: int | None = None, **how: str) -> None:
    """Write records, `at` ms since 1970 by their sender's word."""
    with closing(KafkaProducer(bootstrap_servers=broker.address, max_request_size=2**28, **how)) as producer:
        for value in values:
            producer.send(partition.topic, value, partition=partition.partition, timestamp_ms=at).get(30)


def test_a_backlog_is_as_old_as_the_broker_says_and_each_offset_is_asked_for_once(
    stack: Stack, topics: Topics, admin: KafkaAdminClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def asking(client: KafkaAdminClient, partition: TopicPartition, offset: int) -> float | None:
        if client is admin:
            asked.append(offset)
        return append_time(client, partition, offset)

    monkeypatch.setattr(lag, "append_time", asking)
    partition = TopicPartition(topics.input, 0)
    before = time.monotonic()
    append(stack.broker, partition, [b"0", b"1"], at=1)  # 1970, but it is the broker's clock that counts here
    after = time.monotonic()
    wait_until(lambda: time.monotonic() > after + 3, what="it grows older")

    waiting = Waiting({partition: 0}, {partition: 2}, topics.input)
    for _ in range(3):
        waiting.learn(admin)
        assert time.monotonic() - after <= waiting.oldest(partition) <= time.monotonic() - before + 0.1
    waiting.move({partition: 1})
    waiting.learn(admin)
    waiting.move({partition: 2})
    waiting.learn(admin)

    assert waiting.oldest(partition) == 0
    assert asked == [0, 1]


@pytest.mark.parametrize("minutes", [-(10**9), -60, 30], ids=["1970", "an hour ago", "the future"])
def test_the_clock_of_a_sender_moves_no_age(
    stack: Stack, topics: Topics, admin: KafkaAdminClient, minutes: int
) -> None:
    partition = create(admin, f"{topics.input}-create-time", **{"message.timestamp.type": "CreateTime"})
    at = max(1, int(time.time() * 1000) + minutes * MINUTE)
    append(stack.broker, partition, [b"before"], at)
    began = time.monotonic()
    waiting = Waiting({partition: 0}, {partition: 1}, topics.input)
    waiting.learn(admin)
    looked = time.monotonic()
    append(stack.broker, partition, [b"after"], at)
    waiting.learn(admin)
    assert 0 < waiting.oldest(partition) <= time.monotonic() - began

    waiting.move({partition: 1})
    waiting.learn(admin)
    assert 0 < waiting.oldest(partition) <= time.monotonic() - looked


def test_a_bomb_is_not_unpacked_to_know_how_long_it_waits(
    stack: Stack, topics: Topics, admin: KafkaAdminClient
) -> None:
    partition = create(admin, f"{topics.input}-bomb", **{"message.timestamp.type": "LogAppendTime"})
    append(stack.broker, partition, [bytes(64 * 2**20)], compression_type="zstd")

    tracemalloc.start()
    try:
        entered = append_time(admin, partition, 0)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert entered is not None
    assert entered == pytest.approx(time.time(), abs=300)
    assert most < 2 * 2**20


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """One of its own, to be frozen."""
    broker = Broker(tmp_path / "broker", find_kafka(to_stderr))
    broker.start()
    yield broker
    broker.kill()


def test_what_is_not_known_is_no_number_while_the_broker_stands_still_and_a_stop_waits_for_nothing(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(behind, "EVERY", 0.1)
    monkeypatch.setattr(behind, "UNKNOWN_AFTER", 2.0)
    before = set(threading.enumerate())
    metrics, client = LabelMetrics(CollectorRegistry()), build_admin(settings(broker))
    partition = create(client, "posts")
    append(broker, partition, [b"waits"])
    shown = Lag(client, "placestream", metrics, stuck_after=60)
    shown.restart({partition: 0}, {partition: 0}, note="")

    def values() -> list[float]:
        return [
            sample.value
            for gauge in (metrics.lag, metrics.oldest_waiting, metrics.committed_offset)
            for metric in gauge.collect()
            for sample in metric.samples
        ]

    wait_until(lambda: values()[0] == 1 and values()[1] > 0, what="the broker's answer")
    assert broker.pid
    os.kill(broker.pid, signal.SIGSTOP)
    wait_until(lambda: [math.isnan(value) for value in values()] == [True, True, False], what="nothing is known")
    os.kill(broker.pid, signal.SIGCONT)
    wait_until(lambda: values()[0] == 1, what="the broker's answer")
    os.kill(broker.pid, signal.SIGSTOP)
    wait_until(lambda: math.isnan(values()[0]), what="nothing is known")
    shown.close()
    wait_until(lambda: set(threading.enumerate()) <= before, what="its thread has ended")
