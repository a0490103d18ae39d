"""Connections that fail around a commit, and slow ones: the broker has not heard of it, or could not say so."""

import math
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.protocol.admin.client_quotas import AlterClientQuotasRequest

from consumer.dead_letter import REASON
from deploy.local.broker import Broker
from deploy.local.kafka_jars import find_kafka
from deploy.local.process import HOST, free_ports
from deploy.local.server import to_stderr
from tests.conftest import RunCli, Topics, wait_until
from tests.faults.feed import feeding
from tests.faults.pool import NAMES, Pool
from tests.faults.proxy import Fault, Proxy
from tests.integration.consumer.label.conftest import ONCE, came_out, ids, label, labelled
from tests.wire import post, read_all, write

TIMES: dict[Fault, int] = {
    "cut before the broker has it": 4,
    "cut before the answer is back": 4,
    "the answer is dropped": 1,  # it takes a request's timeout
}

RATE = 500_000
"""Bytes a second of what is slow."""


@dataclass(frozen=True, slots=True)
class ProxiedStack:
    """Fixtures take it in the place of a `Stack`: commands come through the proxy, the test itself does not."""

    broker: Broker
    proxy: Proxy

    @property
    def environment(self) -> dict[str, str]:
        """The variable by which every command of Placestream finds the proxy."""
        return {"PLACESTREAM_BOOTSTRAP_SERVERS": self.proxy.address}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedStack]:
    """A broker with a second listener that it tells clients to reach through the proxy."""
    port, controller, behind, proxied = free_ports(4)
    properties = {
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller},BEHIND://{HOST}:{behind}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port},BEHIND://{HOST}:{proxied}",
        "quota.window.num": "2",  # so that a quota is soon exceeded
        "transaction.max.timeout.ms": "60000",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,BEHIND:PLAINTEXT",
    }
    folder = tmp_path_factory.mktemp("kafka")
    broker = Broker(folder, find_kafka(to_stderr), (port, controller), properties=properties)
    broker.start()
    try:
        with Proxy(proxied, behind) as proxy:
            yield ProxiedStack(broker, proxy)
    finally:
        broker.kill()


def test_a_connection_that_fails_around_a_commit_loses_and_doubles_nothing(
    pool: Pool, seed: int, stack: ProxiedStack
) -> None:
    proxy, faults = stack.proxy, list(Counter(TIMES).elements())
    random.Random(seed).shuffle(faults)
    pool.start(*NAMES)
    with feeding(pool.stack, pool.topics, seed) as feed:
        pool.wait_published(*NAMES)
        early = len(pool.mended)
        for fault in faults:
            pool.wait_published(*NAMES)
            before = proxy.done[fault]
            proxy.do_next(fault)
            wait_until(lambda fault=fault, before=before: proxy.done[fault] > before, what=fault)  # type: ignore[misc]
        pool.wait_published(*NAMES)
        pool.finish(feed)
    assert proxy.done == TIMES
    assert all("fenced" in last for last in pool.mended[early:]), pool.mended


def hold_back(admin: KafkaAdminClient, client_id: str) -> None:
    """Let a client produce so many bytes a second."""
    quota = AlterClientQuotasRequest.EntryData
    entry = quota(
        entity=[quota.EntityData(entity_type="client-id", entity_name=client_id)],
        ops=[quota.OpData(key="producer_byte_rate", value=float(RATE), remove=False)],
    )

    async def alter() -> Any:
        return await admin._manager.send(AlterClientQuotasRequest(entries=[entry], validate_only=False))

    (answer,) = admin._manager.run(alter).entries
    assert answer.error_code == 0, answer.error_message


def test_what_a_quota_holds_back_comes_out_in_parts(
    stack: Any, topics: Topics, run_cli: RunCli, admin: KafkaAdminClient
) -> None:
    junk = [(str(number).encode(), bytes(RATE), [("city", b"london")]) for number in range(8)]
    hold_back(admin, f"{topics.input}-slow")
    write(stack, topics.input, junk)

    said = label(run_cli, topics, "--replica", "slow", "--batch-size", "16", "--publish-timeout", "3")

    assert came_out(stack, topics) == ids(8)
    assert "smaller ones follow" in said


def test_a_publish_may_not_take_longer_than_the_broker_allows(topics: Topics, run_cli: RunCli) -> None:
    ended = run_cli("tests.light", *ONCE, "--publish-timeout", "61", env=topics.environment)

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        "light: PUBLISH_TIMEOUT (61 s) is longer than the broker's transaction.max.timeout.ms allows"
    )


def test_large_dead_letters_over_a_slow_line_come_out_in_parts_and_the_largest_without_its_value(
    stack: Any, topics: Topics, run_cli: RunCli
) -> None:
    junk = [(str(number).encode(), bytes(RATE), [("city", b"london")]) for number in range(8)]
    giant = (b"giant", bytes(5 * RATE), [("city", b"london")])
    write(stack, topics.input, [*junk, giant, post("good")])

    stack.proxy.bytes_per_second = RATE
    try:
        said = label(run_cli, topics, "--publish-timeout", "3")  # of which a record's delivery may take 2.4
    finally:
        stack.proxy.bytes_per_second = math.inf

    assert "smaller ones follow" in said
    assert labelled(stack, topics) == ["good"]
    dead = {record.key: record for record in read_all(stack, topics.dead_letter)}
    assert {key: record.value for key, record in dead.items()} == {key: value for key, value, _ in junk} | {
        b"giant": None
    }
    assert dict(dead[b"giant"].headers)[REASON] == b"record_too_large"
