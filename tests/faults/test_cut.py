"""Connections that fail around a commit: the broker has not heard of it, or has done it and could not say so."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from deploy.local.broker import Broker
from deploy.local.kafka_jars import find_kafka
from deploy.local.process import HOST, free_ports
from deploy.local.server import to_stderr
from tests.conftest import wait_until
from tests.faults.feed import feeding
from tests.faults.pool import NAMES, Pool
from tests.faults.proxy import Fault, Proxy

TIMES: dict[Fault, int] = {
    "cut before the broker has it": 4,
    "cut before the answer is back": 4,
    "the answer is dropped": 1,  # it takes a request's timeout
}


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
