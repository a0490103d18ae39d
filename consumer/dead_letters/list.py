"""The sub-command `list`: the dead letters that wait to be replayed, as a table or as JSON."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import Field
from rich import box
from rich.console import Console
from rich.table import Table

from consumer.dead_letters.letter import MISSING, Letter, printable
from consumer.dead_letters.replayed import dead_letters
from consumer.dead_letters.settings import ChosenSettings
from producer.base.logs import setup
from producer.base.settings import load
from producer.post import format_time

IN_TABLE = 50
"""How many dead letters the table has without --limit."""
LONGEST_MESSAGE = 200
"""Characters of a message in the table."""


class ListSettings(ChosenSettings):
    """Print the dead letters that wait to be replayed, newest last."""

    all_: bool = Field(False, alias="all", description="also what was replayed")
    limit: int | None = Field(
        None, ge=1, description=f"only the newest so many (default: {IN_TABLE} in the table, all as JSON)"
    )
    json_: bool = Field(False, alias="json", description="print a line of JSON for each dead letter")


def main(argv: list[str]) -> int:
    """Run `list`.

    Args:
        argv: flags of `ListSettings`.

    Raises:
        CommandError: no broker, or no such topic.
    """
    settings = load(ListSettings, "python -m consumer dead-letters list", argv)
    setup(settings)
    with dead_letters(settings) as (records, replayed):
        letters = [Letter.of(record) for record in records]
    letters = [letter for letter in letters if settings.reason in (None, letter.reason)]
    waiting = [letter for letter in letters if letter.at not in replayed]
    shown = sorted(letters if settings.all_ else waiting, key=lambda letter: (letter.time, letter.at))
    if settings.limit or not settings.json_:
        shown = shown[-(settings.limit or IN_TABLE) :]
    if settings.json_:
        for letter in shown:
            print(json.dumps(_plain(letter, settings.dead_letter_topic, letter.at in replayed), ensure_ascii=False))
        return 0
    if shown:
        # Markup, emoji codes and colours are off: everything here is others' text.
        Console(markup=False, emoji=False, highlight=False).print(_table(shown, replayed))
    for line in _summary(settings, len(letters), len(waiting), len(shown)):
        print(line)
    return 0


def _table(letters: Sequence[Letter], replayed: set[tuple[int, int]]) -> Table:
    """Three lines a dead letter, so that everything fits beside the message into 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True, leading=1)
    table.add_column("id\ncoordinates", overflow="fold", max_width=30)
    table.add_column("stage\nreason", overflow="fold")
    table.add_column("attempts", justify="right", no_wrap=True)
    table.add_column("message", overflow="fold", ratio=1)
    for letter in letters:
        message = printable(letter.message or MISSING)
        table.add_row(
            f"{letter.post_id or MISSING}\n{printable(letter.coordinates)}\n{letter.time:%Y-%m-%d %H:%M}Z",
            f"{printable(letter.stage or MISSING)}\n{printable(letter.reason or MISSING)}",
            f"{letter.attempts}\nreplayed" if letter.at in replayed else f"{letter.attempts}",
            message if len(message) <= LONGEST_MESSAGE else f"{message[: LONGEST_MESSAGE - 1]}…",
        )
    return table


def _summary(settings: ListSettings, letters: int, waiting: int, shown: int) -> Iterator[str]:
    of = f" of reason {settings.reason}" if settings.reason else ""
    listed = letters if settings.all_ else waiting
    if not listed:
        yield f"no dead letters{of}"
    else:
        older = f"; the newest {shown:,} are shown (--limit {listed} shows all)" if shown < listed else ""
        yield f"{listed:,} dead letter{'' if listed == 1 else 's'}{of}{older}"
    if waiting < letters and not settings.all_:
        done = letters - waiting
        yield f"{done:,} more {'was' if done == 1 else 'were'} replayed (--all shows {'it' if done == 1 else 'them'})"


def _plain(letter: Letter, topic: str, replayed: bool) -> dict[str, Any]:
    return {
        "id": letter.post_id,
        "stage": letter.stage,
        "reason": letter.reason,
        "error": letter.error,
        "message": letter.message,
        "attempts": letter.attempts,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "dead_letter": {"topic": topic, "partition": letter.at[0], "offset": letter.at[1]},
        "time": format_time(letter.time),
        "replayed": replayed,
    }
