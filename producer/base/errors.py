"""The errors that end a command with one clear line, and the exit code that goes with each; and that of a post."""


class CommandError(Exception):
    """Something a person can mend: the message says what, where and what to do. Exit code 1."""

    exit_code = 1


class UsageError(CommandError):
    """Wrong usage or settings, found before anything is connected. Exit code 2."""

    exit_code = 2


class Wrong(ValueError):
    """Something of a post that cannot be used.

    Attributes:
        kind: what is wrong, and the mend: words that all of its kind share.
        detail: what tells this one from others of its kind; None: nothing.
    """

    def __init__(self, kind: str, detail: str | None = None) -> None:
        super().__init__(kind if detail is None else f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail
