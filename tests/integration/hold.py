"""A command that is held at one step, so that a test may kill it, overtake it or look at what it left there.

`python -m tests.integration.hold STEP NUMBER FILE MODULE ARGUMENTS…` is `python -m MODULE ARGUMENTS…` that says "held"
and waits at one call of a method. STEP is ``module:Class.method`` (``after_method``: when it has ended), NUMBER says at
which call of it, from 1 on; it is held until FILE is there. HOLD_SETS may change a constant: ``module:NAME=number``.
"""

import os
import pkgutil
import runpy
import sys
import time
from pathlib import Path
from typing import Any


def hold(step: str, number: int, release: Path) -> None:
    """Say "held" and wait at one call of a method, until the file is there."""
    owner, _, name = step.rpartition(".")
    held_class, method = pkgutil.resolve_name(owner), name.removeprefix("after_")
    original, calls = getattr(held_class, method), 0

    def wait() -> None:
        print("held", flush=True)
        while not release.exists():
            time.sleep(0.05)

    def held(self: Any, *args: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number and name == method:
            wait()
        result = original(self, *args, **named)
        if calls == number and name != method:
            wait()
        return result

    setattr(held_class, method, held)


def set_constant(setting: str) -> None:
    """Change the constant that ``module:NAME=number`` names."""
    name, _, value = setting.partition("=")
    module, _, constant = name.partition(":")
    setattr(pkgutil.resolve_name(module), constant, int(value))


if __name__ == "__main__":
    step, number, release, module, *arguments = sys.argv[1:]
    hold(step, int(number), Path(release))
    if setting := os.environ.get("HOLD_SETS"):
        set_constant(setting)
    sys.argv[1:] = arguments
    runpy.run_module(module, run_name="__main__", alter_sys=True)
