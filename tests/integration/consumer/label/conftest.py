"""What tests of the worker share: its flags, and what it has labelled."""

from deploy.local.stack import Stack
from tests.conftest import RunCli, Topics
from tests.wire import read_all

ONCE = ("--stop-at-end", "--metrics-port", "0", "--session-timeout", "6")
QUICK = ("--metrics-port", "0", "--session-timeout", "6", "--batch-size", "4")


def label(run_cli: RunCli, topics: Topics, *flags: str) -> str:
    """Label to the end; what the worker wrote."""
    ended = run_cli("tests.light", *ONCE, *flags, env=topics.environment)
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


def labelled(stack: Stack, topics: Topics) -> list[str]:
    return sorted(record.key.decode() for record in read_all(stack, topics.output))


def came_out(stack: Stack, topics: Topics) -> list[str]:
    """Ids of all posts that were labelled or are dead letters."""
    return sorted(r.key.decode() for topic in (topics.output, topics.dead_letter) for r in read_all(stack, topic))


def ids(*numbers: int) -> list[str]:
    return sorted(str(number) for number in range(*numbers))
