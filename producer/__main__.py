"""``python -m producer``: replay a dataset, write the sample dataset, create the topics."""

import logging
import sys

from producer.base import command

COMMANDS = {
    "replay": ("producer.replay:main", "send a dataset's posts to the input topic"),
    "sample": ("producer.sample:main", "write a small dataset out of photographs inside Python packages"),
    "topics": ("producer.topics:main", "create the topics (safe to repeat)"),
}


class _Lines(logging.Handler):
    """Plain lines on whatever stderr is at that moment: a progress bar replaces it while it is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr, flush=True)


def main() -> int:
    """Run the command that the arguments name; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[_Lines()])
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what matters of it is said in our own words
    return command.run("python -m producer", COMMANDS, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
