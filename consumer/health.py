"""What a role answers over HTTP: /metrics, /healthz (the loop turns) and /readyz (it has begun to work)."""

import contextlib
import logging
import socket
import sys
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from pydantic import Field

from consumer.listen import in_url, listen
from producer.base.logs import event
from producer.base.settings import Settings

log = logging.getLogger(__name__)

MOST_CONNECTIONS = 64
"""At once, each with a thread of its own."""
SILENCE = 10.0
"""Seconds that one side of a connection may say nothing."""


class MetricsSettings(Settings):
    """Where metrics and health answer; each role adds its own METRICS_PORT."""

    metrics_host: str = Field("127.0.0.1", description="address of /metrics, /healthz and /readyz")


class Health:
    """Whether the role's loop still turns; liveness is progress, not that a thread answers."""

    def __init__(self, limit: float) -> None:
        """Begin healthy and not ready.

        Args:
            limit: seconds between two turns of the loop after which it counts as stuck.
        """
        self.ready = False
        self._limit = limit
        self._turned_at = time.monotonic()

    def record_turn(self) -> None:
        """Record that the loop has turned, if only to wait for a lost broker: a restart would not help."""
        self._turned_at = time.monotonic()

    @property
    def alive(self) -> bool:
        """Whether the last turn is recent enough."""
        return time.monotonic() - self._turned_at <= self._limit


class _Server(ThreadingHTTPServer):
    """A thread for each connection; of too many the oldest is cut, so that whoever asks next is answered."""

    daemon_threads = True

    def __init__(self, listening: socket.socket, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(listening.getsockname(), handler, bind_and_activate=False)
        self.socket.close()
        self.socket, self.server_port = listening, listening.getsockname()[1]
        self._open: deque[socket.socket] = deque()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.append(request)
        if len(self._open) > MOST_CONNECTIONS:
            with contextlib.suppress(OSError):  # it has ended
                self._open.popleft().shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        event(log, logging.DEBUG, "a connection broke off", of=client_address[0], why=sys.exc_info()[1])


def serve(host: str, port: int, registry: CollectorRegistry, health: Health) -> ThreadingHTTPServer:
    """Answer on host and port from a thread of its own; with port 0 on any free one.

    Raises:
        CommandError: the address cannot be had.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = SILENCE

        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            if path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
            elif path == "/healthz":
                self._state(health.alive, "the loop turns", "the loop has not turned for too long")
            elif path == "/readyz":
                self._state(health.ready, "ready", "not ready: still loading or joining")
            else:
                self._answer(404, "text/plain", b"/metrics /healthz /readyz\n")

        do_HEAD = do_GET

        def _state(self, good: bool, yes: str, no: str) -> None:
            self._answer(200 if good else 503, "text/plain; charset=utf-8", f"{yes if good else no}\n".encode())

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: a scrape every few seconds is no event."""

    server = _Server(listen(host, port, "metrics", "METRICS_HOST, METRICS_PORT"), Handler)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    event(log, logging.INFO, "metrics", address=f"http://{in_url(host)}:{server.server_port}/metrics")
    return server
