"""`python -m consumer export`, held at one step, to be killed or watched there.

`python -m tests.integration.consumer.export.held STEP NUMBER FILE FLAGS…`: STEP is a method of `Unfinished`, or
`after_finish`; NUMBER says at which call of it; held until FILE is there.
"""

import sys
from pathlib import Path

from consumer.export.write import Unfinished
from producer.base.command import run
from tests.integration.hold import hold

COMMANDS = {"export": ("consumer.export.export:main", "write the labelled posts into files for analysts")}


if __name__ == "__main__":
    hold(Unfinished, sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
    sys.exit(run("python -m consumer", COMMANDS, ["export", *sys.argv[4:]]))
