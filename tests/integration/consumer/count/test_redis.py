"""Redis as others run it: with a failover, as a cluster, short of memory, with few rights."""

import contextlib
import socket
import threading
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.cluster import RedisCluster

from consumer.board.cities import Cities
from consumer.board.settings import BoardSettings
from deploy.local.process import HOST, free_ports
from deploy.local.redis_server import RedisServer, find_server
from tests.conftest import Background, wait_until
from tests.integration.consumer.count.conftest import Counting, ask, metric, one_line

Start = Callable[..., RedisServer]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a server with these options."""
    program = find_server(lambda line: None)
    with ExitStack() as servers:

        def start(*options: str) -> RedisServer:
            server = RedisServer(tmp_path / f"{len(list(tmp_path.iterdir()))}", program, options=options)
            server.start()
            servers.callback(server.kill)
            return server

        yield start


class Forward:
    """An address behind which there is another server after a failover; open connections stay where they are."""

    def __init__(self, to: RedisServer) -> None:
        self.to = to
        self._listening = socket.create_server((HOST, 0))
        self.url = f"redis://{HOST}:{self._listening.getsockname()[1]}/0"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection((HOST, self.to.port))
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)


def client_of(server: RedisServer) -> Any:
    return redis.Redis(host=HOST, port=server.port, decode_responses=True)


def is_ready(counter: Background) -> bool:
    try:
        return ask(counter, "/readyz")[0] == 200
    except urllib.error.HTTPError as error:
        error.close()
        return False


def test_an_old_primary_that_is_a_replica_now_is_left_for_the_new_one(counting: Counting, start: Start) -> None:
    old, new = start(), start()
    with closing(Forward(old)) as forward:
        counting.environment["PLACESTREAM_REDIS_URL"] = forward.url
        client_of(new).replicaof(HOST, str(old.port))
        counter = counting.start()
        counting.write(10)
        wait_until(lambda: metric(counter, "placestream_counted_posts_total") == 10, what="ten posts counted")
        wait_until(lambda: client_of(new).exists(f"{counting.prefix}:offsets"), what="the replica to have them")

        client_of(new).replicaof("NO", "ONE")
        client_of(old).replicaof(HOST, str(new.port))
        counter.wait_for_output("lost Redis")
        wait_until(lambda: not is_ready(counter), what="the counter to be not ready")
        forward.to = new
        wait_until(lambda: is_ready(counter), what="the counter to be ready")
        counting.write(10)

        wait_until(lambda: metric(counter, "placestream_counted_posts_total") == 20, what="all counted")
        assert counter.end() == 0
        assert "lost the broker" not in counter.output
        counting.environment["PLACESTREAM_REDIS_URL"] = new.url
        counting.assert_equal_to_a_recount(20)


def test_the_counters_may_lie_in_a_cluster_whichever_node_is_named(counting: Counting, start: Start) -> None:
    buses = free_ports(3)
    nodes = [start("--cluster-enabled", "yes", "--cluster-port", str(bus)) for bus in buses]
    for number, node in enumerate(nodes):
        first, last = number * 16384 // 3, (number + 1) * 16384 // 3 - 1
        client_of(node).execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
        client_of(node).execute_command("CLUSTER", "MEET", HOST, nodes[0].port, buses[0])
    wait_until(
        lambda: all(
            info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "3"
            for info in (client_of(node).cluster("info") for node in nodes)
        ),
        what="the cluster",
    )
    counting.write(30)
    for number, node in enumerate(nodes):
        counting.environment["PLACESTREAM_REDIS_URL"] = node.url
        counted = counting.run("count", "--stop-at-end")
        assert counted.returncode == 0, counted.stderr
        assert counted.stderr.splitlines()[-1].endswith(f"ended counted={0 if number else 30}")
        counting.assert_equal_to_a_recount(30)
        given = {"redis_url": node.url, "counter_prefix": counting.prefix}
        with closing(Cities(BoardSettings.model_validate(given))) as page:
            assert not page.figures().trouble
    assert counting.run("recount").returncode == 0
    counting.assert_equal_to_a_recount(30)
    shown = counting.run("popularity")
    assert "newyork" in shown.stdout, shown.stderr
    with closing(RedisCluster(HOST, nodes[1].port)) as cluster:
        assert cluster.exists(f"{counting.prefix}:offsets")


@pytest.mark.parametrize("command", ["count", "recount"])
def test_a_redis_that_throws_counters_away_is_refused(counting: Counting, start: Start, command: str) -> None:
    full = start("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    refused = counting.run(command, PLACESTREAM_REDIS_URL=full.url)
    assert refused.returncode == 1
    assert "throws keys away when its memory is full (maxmemory-policy allkeys-lru)" in one_line(
        refused.stderr, command
    )


@pytest.mark.parametrize("is_running", [True, False])
def test_counters_without_their_offsets_are_not_counted_again(counting: Counting, is_running: bool) -> None:
    counting.write(10)
    counter = counting.start()
    counting.wait_for(10)
    if not is_running:
        assert counter.end() == 0
    counting.redis.delete(f"{counting.prefix}:offsets")
    if not is_running:
        counter = counting.start()
    assert counter.wait() == 1
    assert f"{counting.prefix}:offsets is gone, which says how far is counted" in one_line(counter.output, "count")
    assert counting.counted() == 10


def test_few_rights_are_enough_and_a_missing_one_ends_it_with_one_line(counting: Counting, start: Start) -> None:
    server = start()
    rights = ["on", "nopass", "~{*}:*", "+@read", "+@write", "+@connection", "+@scripting", "+@transaction"]
    client_of(server).execute_command("ACL", "SETUSER", "counter", *rights)
    client_of(server).execute_command("ACL", "SETUSER", "reader", *(r for r in rights if r != "+@write"))
    counting.write(10)
    url = f"redis://{{}}:x@{HOST}:{server.port}/0"

    counted = counting.run("count", "--stop-at-end", PLACESTREAM_REDIS_URL=url.format("counter"))
    verified = counting.run("verify", PLACESTREAM_REDIS_URL=url.format("reader"))
    refused = counting.run("count", PLACESTREAM_REDIS_URL=url.format("reader"))

    assert counted.returncode == 0, counted.stderr
    assert counted.stderr.count("may not ask Redis (INFO) whether it keeps all keys") == 1
    assert "the counters equal the 10 labelled posts" in verified.stdout, verified.stderr
    assert refused.returncode == 1
    assert "Redis refused, and waiting does not help: " in one_line(refused.stderr, "count")
