"""The sub-commands `list` and `show`: what lies in the dead-letter topic, and what of it was replayed."""

import io
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kafka.errors import KafkaError
from PIL import Image
from pydantic import Field
from pydantic_settings import CliPositionalArg, SettingsConfigDict
from rich import box
from rich.console import Console
from rich.table import Table

from consumer.classify.pictures.decode import FORMATS
from consumer.classify.pictures.structure import TooMuch, check_structure
from consumer.dead_letters import receipts
from consumer.dead_letters.letter import MISSING, Letter, printable
from consumer.dead_letters.read import read_whole
from consumer.dead_letters.settings import ChosenSettings, DeadLetterSettings
from consumer.kafka.offsets import topic_id_of
from producer.base.errors import CommandError
from producer.base.logs import setup
from producer.base.settings import load
from producer.post import format_time
from producer.topics import admin_client, describe

IN_TABLE = 50
"""How many dead letters the table has without --limit."""
LONGEST_MESSAGE = 200
"""Characters of a message in the table."""
LONGEST_HEADER = 2_000
"""Characters of a header's value that `show` prints."""
FIRST_BYTES = 32


class ListSettings(ChosenSettings):
    """Print the dead letters that wait to be replayed, newest last."""

    # The flags json and all need an alias; without this line the bare variables JSON and ALL would set them.
    model_config = SettingsConfigDict(env_prefix_target="all")

    all_: bool = Field(False, alias="all", description="also those that were replayed")
    limit: int | None = Field(
        None, ge=1, description=f"only so many, the newest (default: {IN_TABLE} in the table, all as JSON)"
    )
    json_: bool = Field(False, alias="json", description="print one line of JSON for each dead letter, not a table")


class ShowSettings(DeadLetterSettings):
    """Print every header of all dead letters of one post."""

    id: CliPositionalArg[str] = Field(min_length=1, description="post_id, or topic/partition/offset of the original")
    save: Path | None = Field(None, description="write the value of the newest one (the picture) to this file")


def list_(argv: list[str]) -> int:
    """Run `list`.

    Args:
        argv: flags of `ListSettings`.

    Raises:
        CommandError: no broker, or no such topic.
    """
    settings = load(ListSettings, "python -m consumer dead-letters list", argv)
    setup(settings)
    with _dead_letters(settings) as (records, replayed):
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


def show(argv: list[str]) -> int:
    """Run `show`.

    Args:
        argv: flags of `ShowSettings`.

    Raises:
        CommandError: no broker, no such topic, no such dead letter, or the file cannot be written.
    """
    settings = load(ShowSettings, "python -m consumer dead-letters show", argv)
    setup(settings)
    with _dead_letters(settings) as (records, replayed):
        found = [(letter, record) for record in records if settings.id in (letter := Letter.of(record)).names]
    if not found:
        raise CommandError(f"no dead letter of {settings.id} in {settings.dead_letter_topic}")
    found.sort(key=lambda each: (each[0].time, each[0].at))
    for letter, record in found:
        print("\n".join(_describe(letter, record, letter.at in replayed)), end="\n\n")
    if settings.save is not None:
        letter, record = found[-1]
        if "value_bytes" in letter.left_out:
            raise CommandError(f"the dead letter of {settings.id} does without the value; `replay` fetches it")
        value = record.value or b""
        try:
            settings.save.write_bytes(value)
        except OSError as error:
            raise CommandError(f"{settings.save}: {error.strerror}") from None
        print(f"saved {len(value):,} bytes to {settings.save}")
    return 0


@contextmanager
def _dead_letters(settings: DeadLetterSettings) -> Iterator[tuple[Iterator[Any], set[tuple[int, int]]]]:
    """Every record of the dead-letter topic, and which of them were replayed."""
    topic, replayed_topic = settings.dead_letter_topic, receipts.topic_of(settings)
    with admin_client(settings) as admin:
        found = describe(admin, [topic, replayed_topic])
        if topic not in found:
            raise CommandError(
                f"topic {topic} does not exist at {settings.bootstrap_servers}; `python -m producer topics` creates it"
            )
        try:
            known = receipts.read(settings, admin, topic_id_of(admin, topic)) if replayed_topic in found else set()
            yield read_whole(settings, admin, topic, "reading dead letters"), known
        except KafkaError as error:
            raise CommandError(f"the broker was lost: {error}") from None


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


def _describe(letter: Letter, record: Any, replayed: bool) -> Iterator[str]:
    times = f"{letter.attempts} attempt{'' if letter.attempts == 1 else 's'}"
    state = "replayed" if replayed else "not replayed"
    yield f"{letter.post_id or MISSING}: {printable(letter.coordinates)}, {times}, {state}"
    yield f"  dead letter  {record.topic}/{record.partition}/{record.offset}, {format_time(letter.time)}"
    headers: list[tuple[str, bytes | None]] = record.headers or []
    width = max((len(name) for name, _ in headers), default=0)
    for name, value in headers:
        yield f"  {printable(name):<{width}}  {'null' if value is None else _shortened(value)}"
    size = letter.left_out.get("value_bytes")
    yield f"  value: {kind_of(record.value) if size is None else f'left out, {printable(size)} bytes'}"
    if record.value:
        first = record.value[:FIRST_BYTES]
        yield f"  {first.hex(' ')}{' …' if len(record.value) > len(first) else ''}"


def _shortened(value: bytes) -> str:
    text = printable(value.decode("utf-8", "backslashreplace"))
    return text if len(text) <= LONGEST_HEADER else f"{text[:LONGEST_HEADER]}… ({len(value):,} bytes)"


def kind_of(value: bytes | None) -> str:
    """Size of a value and what it is, as far as its first bytes tell; nothing is decoded."""
    if not value:
        return "null" if value is None else "0 bytes"
    size = f"{len(value):,} bytes"
    if value.startswith(b"{"):
        return f"{size}, JSON or text"
    try:
        check_structure(value)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's warning of large pictures: they are not decoded here
            with Image.open(io.BytesIO(value), formats=FORMATS) as image:
                return f"{size}, {image.format}, {image.width} x {image.height} pixels"
    except TooMuch as error:
        return f"{size}, a picture of {error}"
    except Image.DecompressionBombError:
        return f"{size}, a picture of more pixels than Pillow opens"
    except Exception:  # whatever a broken header makes Pillow's readers raise
        return f"{size}, no picture that Pillow knows"
