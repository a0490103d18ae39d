import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from deploy.local.process import HOST, free_ports
from deploy.local.server import Server, StartError


class Script(Server):
    """A server written in a few lines of Python; `port` is its port."""

    name = "script"

    def __init__(self, folder: Path, script: str, ports: Sequence[int] = ()) -> None:
        super().__init__(folder, ports)
        self.script = script

    def command(self) -> Sequence[str]:
        return [sys.executable, "-c", f"import socket, sys, time; port = {self.port}\n{self.script}"]

    def answers(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex((HOST, self.port)) == 0


LISTEN = f"listener = socket.socket(); listener.bind(({HOST!r}, port)); listener.listen(); time.sleep(600)"


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as other:
        other.bind((HOST, 0))  # not listening: nobody answers there
        yield other.getsockname()[1]


def test_a_server_that_dies_at_once_is_an_error_with_the_end_of_its_log(tmp_path: Path) -> None:
    dying = Script(tmp_path, "print(*range(40), sep='\\n'); sys.exit(3)")

    with pytest.raises(StartError) as caught:
        dying.start()

    first, *log = str(caught.value).splitlines()
    assert first == "script ended at once (exit code 3); the end of its log:"
    assert log == [str(number) for number in range(25, 40)]
    assert not dying.running


def test_a_server_that_never_answers_is_killed(tmp_path: Path) -> None:
    silent = Script(tmp_path, "time.sleep(600)")
    silent.start_timeout = 0.3

    with pytest.raises(StartError, match=r"^script does not answer after 0.3 s; its log is empty$"):
        silent.start()

    assert silent.pid is None


def test_a_port_taken_in_the_meantime_is_replaced(
    tmp_path: Path, taken_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = free_ports(1)
    choices = iter([[taken_port], free])
    monkeypatch.setattr("deploy.local.server.free_ports", lambda count: next(choices))
    script = Script(tmp_path, LISTEN)

    script.start()
    try:
        assert script.ports == free
    finally:
        script.kill()


def test_a_port_that_was_asked_for_is_never_replaced(tmp_path: Path, taken_port: int) -> None:
    with pytest.raises(StartError, match="Address already in use"):
        Script(tmp_path, LISTEN, [taken_port]).start()


def test_kill_and_restart_keep_the_port(tmp_path: Path) -> None:
    script = Script(tmp_path, LISTEN.replace("listener.bind", "listener.setsockopt(1, 2, 1); listener.bind"))
    script.start()
    try:
        port, pid = script.port, script.pid
        script.kill()
        assert not script.running
        assert not script.answers()

        script.restart()
        assert script.port == port
        assert script.pid not in (None, pid)
    finally:
        script.kill()
