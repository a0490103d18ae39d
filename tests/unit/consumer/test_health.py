import contextlib
import http.client
import socket
import struct
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing

import pytest
from prometheus_client import CollectorRegistry, Counter

import consumer.health
from consumer.health import MOST_CONNECTIONS, Health, serve
from producer.base.errors import CommandError
from tests.conftest import wait_until
from tests.unit.consumer.clock import Clock

Address = str


def get(address: Address, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(consumer.health, "time", clock)
    return clock


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(limit=60)


@pytest.fixture
def address(health: Health) -> Iterator[Address]:
    registry = CollectorRegistry()
    Counter("placestream_seen", "Seen", registry=registry).inc(3)
    server = serve("127.0.0.1", 0, registry, health)
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_metrics_are_exposed(address: Address) -> None:
    status, text = get(address, "/metrics")
    assert status == 200
    assert "placestream_seen_total 3.0" in text.splitlines()


def test_a_loop_that_does_not_turn_is_not_healthy_until_it_turns_again(
    address: Address, health: Health, clock: Clock
) -> None:
    clock.now += 59
    assert get(address, "/healthz") == (200, "the loop turns\n")
    health.record_turn()
    clock.now += 59
    assert get(address, "/healthz")[0] == 200
    clock.now += 2
    assert get(address, "/healthz") == (503, "the loop has not turned for too long\n")
    assert get(address, "/readyz")[1] == "not ready: still loading or joining\n"  # alive or not is another question
    health.record_turn()
    assert get(address, "/healthz")[0] == 200


def test_ready_is_what_the_role_says(address: Address, health: Health) -> None:
    assert get(address, "/readyz") == (503, "not ready: still loading or joining\n")
    health.ready = True
    assert get(address, "/readyz?verbose") == (200, "ready\n")


def test_another_path_is_not_found(address: Address) -> None:
    assert get(address, "/") == (404, "/metrics /healthz /readyz\n")


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz"])
def test_head_answers_as_get_without_the_text(address: Address, path: str) -> None:
    host, port = address.split(":")
    with closing(http.client.HTTPConnection(host, int(port), timeout=30)) as connection:
        connection.request("HEAD", path)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (get(address, path)[0], b"")
        assert int(answer.headers["Content-Length"]) > 0


@pytest.mark.slow
def test_silent_connections_keep_nobody_from_asking(address: Address) -> None:
    host, port = address.split(":")
    with contextlib.ExitStack() as stack:
        for _ in range(2 * MOST_CONNECTIONS):
            stack.enter_context(socket.create_connection((host, int(port))))
        assert get(address, "/healthz")[0] == 200
        wait_until(lambda: threading.active_count() < 1.5 * MOST_CONNECTIONS, what="the oldest threads to end")


def test_a_scraper_that_breaks_off_is_no_error(address: Address, capfd: pytest.CaptureFixture[str]) -> None:
    host, port = address.split(":")
    for _ in range(20):
        with socket.create_connection((host, int(port))) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closing is a reset
            connection.sendall(b"GET /metrics HTTP/1.0\r\n")
    assert get(address, "/healthz")[0] == 200
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("host", ["::1", "::", "localhost"])
def test_it_answers_over_ipv6_too(health: Health, host: str) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error}")
    server = serve(host, 0, CollectorRegistry(), health)
    try:
        named = {"::": ["127.0.0.1", "[::1]"], "::1": ["[::1]"]}.get(host, [host])
        assert [get(f"{each}:{server.server_port}", "/healthz")[0] for each in named] == [200] * len(named)
    finally:
        server.shutdown()
        server.server_close()


def test_a_busy_port_is_one_line_that_names_the_settings(health: Health) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(CommandError, match=rf"127\.0\.0\.1:{port} \(METRICS_HOST, METRICS_PORT; .*in use"):
            serve("127.0.0.1", port, CollectorRegistry(), health)


def test_an_address_of_another_machine_is_one_line(health: Health) -> None:
    with pytest.raises(CommandError, match=r"cannot serve metrics at 192\.0\.2\.1:0"):
        serve("192.0.2.1", 0, CollectorRegistry(), health)
