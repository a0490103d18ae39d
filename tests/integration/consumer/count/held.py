"""`python -m consumer recount` that handles two cities at a step, held before one of them, to be killed there.

`python -m tests.integration.consumer.count.held NUMBER FILE FLAGS…`: NUMBER says before which step; it is held until
FILE is there.
"""

import sys
from pathlib import Path

from consumer.count import switch
from producer.base.command import run
from tests.integration.hold import hold

COMMANDS = {"recount": ("consumer.count.recount:main", "rebuild the counters from the labelled topic, then switch")}


if __name__ == "__main__":
    switch.STEP = 2
    hold(switch.Rebuild, "step", int(sys.argv[1]), Path(sys.argv[2]))
    sys.exit(run("python -m consumer", COMMANDS, ["recount", *sys.argv[3:]]))
