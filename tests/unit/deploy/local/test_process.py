import signal
import socket
import subprocess
import sys
from pathlib import Path

from deploy.local.process import HOST, Process, free_ports, tail
from tests.conftest import is_running, wait_until


def test_free_ports_are_different_and_can_be_bound() -> None:
    ports = free_ports(3)

    assert len(set(ports)) == 3
    for port in ports:
        with socket.socket() as each:
            each.bind((HOST, port))


def test_a_server_has_its_own_pid_and_writes_to_its_log(tmp_path: Path) -> None:
    process = Process(["sh", "-c", "echo $$; exec sleep 60"], tmp_path / "log")
    try:
        wait_until(lambda: tail(tmp_path / "log"))
        assert tail(tmp_path / "log") == str(process.pid)
        assert process.poll() is None
    finally:
        process.kill()
    assert process.poll() == -signal.SIGKILL


def test_stop_asks_first(tmp_path: Path) -> None:
    process = Process(
        ["sh", "-c", "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done"], tmp_path / "log"
    )
    wait_until(lambda: tail(tmp_path / "log"))

    process.stop(timeout=20)

    assert process.poll() == 0
    assert tail(tmp_path / "log") == "up\nbye"


def test_stop_kills_a_server_that_does_not_listen(tmp_path: Path) -> None:
    process = Process(["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"], tmp_path / "log")
    wait_until(lambda: tail(tmp_path / "log"))

    process.stop(timeout=0.2)

    assert process.poll() == -signal.SIGKILL


def test_a_server_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    program = (
        "import pathlib, time; from deploy.local.process import Process; "
        f"print(Process(['sleep', '600'], pathlib.Path({str(tmp_path / 'log')!r})).pid, flush=True); time.sleep(600)"
    )
    starter = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert starter.stdout
        server = int(starter.stdout.readline())
        assert is_running(server)
    finally:
        starter.kill()
        starter.communicate()

    wait_until(lambda: not is_running(server), what="the end of the server")


def test_the_tail_of_a_log_is_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n" for number in range(40_000)))

    assert tail(log, 2) == "line 39998\nline 39999"
    assert tail(tmp_path / "none") == ""
