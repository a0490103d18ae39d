"""The sub-command `show`: every header of a post's dead letters, what its value is, and the value as a file."""

import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import Field
from pydantic_settings import CliPositionalArg

from consumer.classify.pictures.structure import TooMuch, check_structure
from consumer.dead_letters.letter import MISSING, Letter, printable
from consumer.dead_letters.replayed import dead_letters
from consumer.dead_letters.settings import DeadLetterSettings
from producer.base.errors import CommandError
from producer.base.logs import setup
from producer.base.settings import load
from producer.pictures import FORMATS
from producer.post import format_time
from producer.serialised import is_json

LONGEST_HEADER = 2_000
"""Characters of a header's value that `show` prints."""
FIRST_BYTES = 32


class ShowSettings(DeadLetterSettings):
    """Print every header of all dead letters of one post."""

    id: CliPositionalArg[str] = Field(min_length=1, description="post_id, or topic/partition/offset of the original")
    save: Path | None = Field(None, description="write the newest one's value (the picture) there")


def main(argv: list[str]) -> int:
    """Run `show`.

    Args:
        argv: flags of `ShowSettings`.

    Raises:
        CommandError: no broker, no such topic, no such dead letter, or the file cannot be written.
    """
    settings = load(ShowSettings, "python -m consumer dead-letters show", argv)
    setup(settings)
    with dead_letters(settings) as (records, replayed):
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
    if is_json(value):
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
