"""`python -m consumer export`, held at one step, to be killed or watched there.

`python -m tests.integration.export.held STEP NUMBER FILE FLAGS…`: STEP is a method of `Unfinished`, or
`after_finish`; NUMBER says at which call of it; held until FILE is there.
"""

import sys
import time
from pathlib import Path
from typing import Any

from consumer.export.write import Unfinished
from producer.command import run

COMMANDS = {"export": ("consumer.export.command:main", "write the labelled posts into files for analysts")}


def hold(step: str, number: int, release: Path) -> None:
    after = step.startswith("after_")
    method = step.removeprefix("after_")
    original = getattr(Unfinished, method)
    calls = 0

    def wait() -> None:
        print("held", flush=True)
        while not release.exists():
            time.sleep(0.05)

    def held(self: Unfinished, *args: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number and not after:
            wait()
        result = original(self, *args, **named)
        if calls == number and after:
            wait()
        return result

    setattr(Unfinished, method, held)


if __name__ == "__main__":
    hold(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
    sys.exit(run("python -m consumer", COMMANDS, ["export", *sys.argv[4:]]))
