"""What every `python -m …` entry shares: choose the command, run it, turn errors into one line and an exit code."""

import gc
import importlib
import io
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence

from producer.base.errors import CommandError


def run(program: str, commands: Mapping[str, tuple[str, str]], argv: Sequence[str]) -> int:
    """Run the command that `argv` names.

    Args:
        program: as the user types it, e.g. ``python -m producer``.
        commands: name -> (``module:function``, one-line summary). The function takes the remaining
            arguments and may return an exit code; its module is imported only when it is chosen.
        argv: the arguments without the program.

    Returns:
        0 done, 2 wrong usage or settings, 1 anything else.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what it cannot show is escaped
            stream.reconfigure(errors="backslashreplace")
    if argv and argv[0] in ("-h", "--help"):
        print(_usage(program, commands))
        return 0
    if not argv or argv[0] not in commands:
        unknown = f"{program}: unknown command {argv[0]!r}\n" if argv else ""
        print(f"{unknown}{_usage(program, commands)}", file=sys.stderr)
        return 2
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, end_at_once)  # until the command has its own handler
    try:
        return _load(commands[argv[0]][0])(list(argv[1:])) or 0
    except CommandError as error:
        sys.stdout.flush()  # where both outputs go into one file, the error comes last
        print(f"{program} {argv[0]}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"{program} {argv[0]}: interrupted", file=sys.stderr)
        return 1
    except BrokenPipeError:  # `… | head`: the reader has seen enough
        sys.stderr.close()
        return 0


def end_at_once(number: int, frame: object) -> None:
    """A signal handler; by default the first process of a container hears of no signal."""
    os._exit(128 + number)


def _load(place: str) -> Callable[[list[str]], int | None]:
    module, function = place.split(":")
    gc.disable()  # importing PyTorch makes half a million objects and no garbage; each look walks them all
    try:
        main: Callable[[list[str]], int | None] = getattr(importlib.import_module(module), function)
    finally:
        gc.enable()
    return main


def _usage(program: str, commands: Mapping[str, tuple[str, str]]) -> str:
    width = max(map(len, commands))
    lines = [f"  {name:<{width}}  {summary}" for name, (_, summary) in commands.items()]
    return "\n".join(
        [f"usage: {program} COMMAND [OPTIONS]", "", *lines, "", f"{program} COMMAND --help shows the options."]
    )
