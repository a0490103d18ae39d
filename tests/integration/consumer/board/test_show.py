"""What `make board` runs, with the real worker: it shows labelled posts, and Ctrl-C ends every part of it.

Some 15 seconds, most of them for reading the model; several times that beside others.
"""

import os
import signal
import time
import urllib.request

import psutil

from tests.conftest import PATIENCE, StartCli, is_running, wait_until
from tests.integration.consumer.board.conftest import address, environment


def test_everything_starts_shows_labels_and_ends_at_ctrl_c(start_cli: StartCli) -> None:
    began = time.monotonic()
    name = f"show-{os.getpid()}"
    variables = environment(name, f"{{{name}}}") | {"PLACESTREAM_VECTORS_TOPIC": f"{name}-vectors"}
    running = start_cli("deploy.board", "show", "--port", "0", env=variables)
    url = address(running)

    def page(path: str) -> str:
        with urllib.request.urlopen(f"{url}{path}", timeout=PATIENCE) as answer:
            text: str = answer.read().decode()
            return text

    wait_until(lambda: 'class="card' in page("/"), what="a labelled post on the wall")
    wait_until(lambda: " classified (" in page("/cities"), what="figures of a city")
    wait_until(lambda: 'class="more"' in page("/search?q=a+hot+drink"), what="a post that is found by words")
    print(f"labels and figures {time.monotonic() - began:.1f} s after the start")
    parts = psutil.Process(running.process.pid).children(recursive=True)
    started = {" ".join(part.cmdline()[2:4]) for part in parts}
    assert {"consumer board", "consumer label", "consumer count", "producer replay"} <= started

    os.killpg(running.process.pid, signal.SIGINT)  # as a terminal does: each of them gets it
    assert running.wait() == 0, running.output
    assert running.output.endswith("the board has ended\n")
    assert "Traceback" not in running.output
    assert [part for part in parts if is_running(part.pid)] == []


def test_a_part_that_ends_by_itself_ends_the_rest_with_one_line(start_cli: StartCli) -> None:
    name = f"part-{os.getpid()}"
    running = start_cli(
        "deploy.board", "show", "--port", "0", env=environment(name, "{x}") | {"PLACESTREAM_THRESHOLD": "7"}
    )
    assert running.wait() == 1
    assert "python -m deploy.board show: label ended with exit code 2\n" in running.output
