import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]


def run(block: str) -> subprocess.CompletedProcess[str]:
    program = (
        "import threading, time\n"
        "from consumer.kafka.watchdog import Watchdog\n"
        "watchdog = Watchdog(check_every=0.02)\n"
        f"{block}\n"
        "print('went on')\n"
    )
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, cwd=ROOT)


def test_a_block_that_outlives_its_limit_ends_the_process() -> None:
    ended = run("with watchdog.limit(0.1, 'publishing a batch'): threading.Event().wait()")
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr == (
        "ended by the watchdog: publishing a batch for more than 0.1 s; a restart goes on from the committed offsets\n"
    )


def test_blocks_that_end_in_time_are_left_alone_and_so_is_what_follows() -> None:
    ended = run(
        "for _ in range(3):\n"
        "    with watchdog.limit(60, 'publishing'): time.sleep(0.05)\n"
        "try:\n"
        "    with watchdog.limit(1, 'publishing'): raise ValueError\n"
        "except ValueError: pass\n"
        "time.sleep(1.3)"
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "went on\n", "")
