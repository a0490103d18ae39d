"""The command group `dead-letters`: which sub-commands there are."""

from producer.base.command import run

COMMANDS = {
    "list": ("consumer.dead_letters.list:main", "print the dead letters that wait, newest last"),
    "show": ("consumer.dead_letters.show:main", "print every header of a post's dead letters, and save its picture"),
    "replay": ("consumer.dead_letters.replay:main", "put dead letters on the input topic again, each exactly once"),
}


def main(argv: list[str]) -> int:
    """Run the sub-command that `argv` names.

    Args:
        argv: its name and flags.

    Returns:
        0 done, 2 wrong usage or settings, 1 anything else.
    """
    return run("python -m consumer dead-letters", COMMANDS, argv)
