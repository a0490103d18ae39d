"""Holds a command at one step, so that a test may kill it, overtake it or look at what it left there."""

import time
from pathlib import Path
from typing import Any


def hold(owner: type, step: str, number: int, release: Path) -> None:
    """Say "held" and wait at one call of a method.

    Args:
        owner: the class that has the method.
        step: its name; ``after_NAME`` holds when it has ended.
        number: at which call, from 1 on.
        release: held until this file is there.
    """
    after = step.startswith("after_")
    method = step.removeprefix("after_")
    original = getattr(owner, method)
    calls = 0

    def wait() -> None:
        print("held", flush=True)
        while not release.exists():
            time.sleep(0.05)

    def held(self: Any, *args: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number and not after:
            wait()
        result = original(self, *args, **named)
        if calls == number and after:
            wait()
        return result

    setattr(owner, method, held)
