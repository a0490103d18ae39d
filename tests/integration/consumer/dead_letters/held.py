"""`dead-letters replay` in transactions of ten that is held at one step, to be killed or overtaken there.

`python -m tests.integration.consumer.dead_letters.held STEP NUMBER FILE FLAGS…`: STEP is a method of the producer, or
`after_commit_transaction`; NUMBER says at which call of it; held until FILE is there.
"""

import sys
from pathlib import Path

from kafka import KafkaProducer

from consumer.dead_letters import commands as command
from consumer.dead_letters import replay
from tests.integration.hold import hold

if __name__ == "__main__":
    hold(KafkaProducer, sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
    replay.RECORDS = 10
    sys.exit(command.main(["replay", *sys.argv[4:]]))
