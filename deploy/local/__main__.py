"""`python -m deploy.local`: a broker and a Redis, for one command or until Ctrl-C; and Kafka's own programs."""

import sys

from deploy.local.tools import TOOLS
from producer.base.command import run

COMMANDS = {
    "run": ("deploy.local.command:run", "start both, run a command with their addresses, stop both"),
    "up": ("deploy.local.command:up", "start both and keep them until Ctrl-C"),
    **{tool: (f"deploy.local.tools:{tool.replace('-', '_')}", "Kafka's own program") for tool in TOOLS},
}

if __name__ == "__main__":
    sys.exit(run("python -m deploy.local", COMMANDS, sys.argv[1:]))
