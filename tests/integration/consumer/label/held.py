"""`tests.light` whose loop is held before it publishes its first batch, until the file HELD_UNTIL is there."""

import os
from pathlib import Path

from consumer.label.read import Source
from tests.integration.hold import hold
from tests.light import run

if __name__ == "__main__":
    hold(Source, "check", 1, Path(os.environ["HELD_UNTIL"]))
    run()
