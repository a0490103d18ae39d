"""Time for the tests, in the place of the module `time`."""

from dataclasses import dataclass


@dataclass
class Clock:
    """Passes when the test says so."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now
