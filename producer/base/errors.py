"""The errors that end a command with one clear line, and the exit code that goes with each."""


class CommandError(Exception):
    """Something a person can mend: the message says what, where and what to do. Exit code 1."""

    exit_code = 1


class UsageError(CommandError):
    """Wrong usage or settings, found before anything is connected. Exit code 2."""

    exit_code = 2
