"""The folder of an export: what it is an export of, and that only one process writes there."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from consumer.export.settings import ExportSettings
from consumer.export.table import CONTENTS, Contents
from consumer.export.write import UNFINISHED
from consumer.vector_table import ABOUT
from producer.base import disk
from producer.base.disk import put_in_place
from producer.base.errors import CommandError, UsageError
from producer.post import format_time


class About(BaseModel):
    """What the files of a folder are of.

    Attributes:
        topic: its name.
        topic_id: a recreated topic has other records at the same offsets.
        format: of the files.
        since: records written before are not in them; None: all are.
        contents: what the records are.
    """

    model_config = ConfigDict(frozen=True)

    topic: str
    topic_id: str
    format: Literal["parquet", "jsonl"]
    since: datetime | None
    contents: Literal["labels", "vectors"] = "labels"

    @property
    def of(self) -> Contents:
        """How the records become rows."""
        return CONTENTS[self.contents]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Create the folder when it is missing, and keep others from exporting there; a kill ends that, too.

    Raises:
        CommandError: it cannot be created or written, or another export runs there.
    """
    stack = ExitStack()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stack.enter_context(disk.locked(folder, "export"))
    except OSError as error:
        raise CommandError(f"FOLDER {folder} cannot be used: {error.strerror}") from None
    with stack:
        (folder / UNFINISHED).unlink(missing_ok=True)  # of an export that was killed
        yield


def go_on(settings: ExportSettings, topic_id: str) -> About:
    """What the folder is an export of: of what it was before, else of what is asked for now.

    Raises:
        UsageError: the folder is of something else than is asked for.
    """
    asked = About(
        topic=settings.topic,
        topic_id=topic_id,
        format=settings.format,
        since=settings.since,
        contents=settings.contents,
    )
    file = settings.folder / ABOUT
    try:
        before = About.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        if any(settings.folder.glob(f"{settings.topic}-*.{settings.format}")):
            raise UsageError(
                f"{settings.folder} has files of an export but no {ABOUT}, which says of what: take another folder"
            ) from None
        with file.with_name(UNFINISHED).open("wb") as writing:
            writing.write(asked.model_dump_json().encode() + b"\n")
            put_in_place(writing, file)
        return asked
    except ValidationError:
        raise UsageError(f"{file} cannot be read: take another folder") from None
    if (before.topic, before.contents, before.format) != (asked.topic, asked.contents, asked.format):
        raise UsageError(
            f"{settings.folder} holds the {before.contents} of {before.topic} as {before.format}: take another folder"
        )
    if before.topic_id != asked.topic_id:
        raise UsageError(
            f"{settings.folder} is of an earlier topic {before.topic}, which was recreated since: take another folder"
        )
    if asked.since is not None and asked.since != before.since:
        began = f"with --since {format_time(before.since)}" if before.since else "without --since"
        raise UsageError(f"{settings.folder} was begun {began}: leave --since out to go on, or take another folder")
    return before
