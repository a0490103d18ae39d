"""`dead-letters replay` in transactions of ten that is held at one step, to be killed or overtaken there.

`python -m tests.integration.dead_letters.held STEP NUMBER FILE FLAGS…`: STEP is a method of the producer, or
`after_commit_transaction`; NUMBER says at which call of it; held until FILE is there.
"""

import sys
import time
from pathlib import Path
from typing import Any

from kafka import KafkaProducer

from consumer.dead_letters import command, replay


def hold(step: str, number: int, release: Path) -> None:
    after = step.startswith("after_")
    method = step.removeprefix("after_")
    original = getattr(KafkaProducer, method)
    calls = 0

    def wait() -> None:
        print("held", flush=True)
        while not release.exists():
            time.sleep(0.05)

    def held(self: KafkaProducer, *args: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number and not after:
            wait()
        result = original(self, *args, **named)
        if calls == number and after:
            wait()
        return result

    setattr(KafkaProducer, method, held)


if __name__ == "__main__":
    hold(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
    replay.RECORDS = 10
    sys.exit(command.main(["replay", *sys.argv[4:]]))
