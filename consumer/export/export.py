"""The command `export`: what is in no file yet goes into files, one per partition and range of offsets.

Why a run after `kill -9` doubles nothing: the only record of what is done are the names of whole files, and a file has
its name when it is whole. A file is never changed: the last one of a run ends where the topic ended when the run began,
and the next run begins there.
"""

import itertools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from kafka.errors import KafkaError, UnknownTopicOrPartitionError

from consumer.export.folder import About, go_on, locked
from consumer.export.ranges import Range, file_name, files_of, missing
from consumer.export.read import Stream, read, split
from consumer.export.settings import ExportSettings
from consumer.export.table import COLUMNS, Row
from consumer.export.write import Unfinished
from consumer.kafka.bounded_consumer import build_consumer
from consumer.kafka.offsets import ends_of, starts_at, topic_id_of
from consumer.kafka.read_to_end import offsets_bar
from consumer.labeled_post import parse_or_skip
from consumer.moment import milliseconds
from consumer.start import check_checksum
from producer.base.errors import CommandError
from producer.base.logs import event, setup
from producer.base.settings import load
from producer.topics import admin_client

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Tally:
    """What a run has done."""

    rows: int = 0
    files: int = 0
    unreadable: int = 0


def main(argv: list[str]) -> int:
    """Run `export`.

    Args:
        argv: flags of `ExportSettings`.

    Raises:
        CommandError: no broker, no such topic, a folder of something else or one that cannot be written.
    """
    settings = load(ExportSettings, "python -m consumer export", argv)
    setup(settings)
    check_checksum()
    tally = Tally()
    with locked(settings.folder), admin_client(settings) as admin:
        try:
            about, wanted, earliest = _look(settings, admin)
            _export(settings, about, wanted, earliest, tally)
        except OSError as error:
            raise CommandError(
                f"{settings.folder} cannot be written: {error.strerror}; what has its name is whole, and the next run "
                "goes on after it"
            ) from None
    noun = about.of.noun
    print(
        f"{tally.rows:,} {noun}{'' if tally.rows == 1 else 's'} of {settings.topic} "
        f"in {tally.files:,} new file{'' if tally.files == 1 else 's'} in {settings.folder}"
        + (f"; {tally.unreadable:,} records that are no {noun} were passed over" if tally.unreadable else "")
    )
    return 0


def _look(settings: ExportSettings, admin: Any) -> tuple[About, list[Range], Mapping[int, int]]:
    """What the folder is an export of, the offsets that its files are to cover, and where each partition begins now."""
    topic = settings.topic
    try:
        about = go_on(settings, topic_id_of(admin, topic))
        ends = ends_of(admin, topic)
        starts = dict(ends.earliest)
        if about.since is not None:
            starts = starts_at(admin, ends, about.since)
    except UnknownTopicOrPartitionError:
        raise CommandError(
            f"topic {topic} does not exist at {settings.bootstrap_servers}; `python -m producer topics` creates it"
        ) from None
    except KafkaError as error:
        raise CommandError(f"topic {topic} cannot be looked at: {error}") from None
    wanted = [Range(tp.partition, starts[tp], ends.latest[tp]) for tp in sorted(ends.latest)]
    return about, wanted, {tp.partition: offset for tp, offset in ends.earliest.items()}


def _export(
    settings: ExportSettings, about: About, wanted: list[Range], earliest: Mapping[int, int], tally: Tally
) -> None:
    files = list(files_of(settings.folder, about.topic, about.format))
    for each in wanted:
        check_reach(about, each, earliest[each.partition], files)
    say_of_columns(settings.folder, about)
    gaps = [gap for each in wanted for gap in missing(each, files)]
    if not gaps:
        return
    consumer = build_consumer(settings, "placestream-export")
    with closing(consumer), offsets_bar("exporting", sum(gap.offsets for gap in gaps)) as advance:
        for gap in gaps:
            fill(settings, about, gap, read(consumer, about.topic, gap), tally, advance)


def say_of_columns(folder: Path, about: About) -> None:
    """Say when the folder's first file lacks columns: readers of Parquet take those that this one has, of all files.

    Args:
        folder: of the export.
        about: what the files are of.
    """
    if (about.format, about.contents) == ("parquet", "labels") and (
        files := sorted(folder.glob(f"{about.topic}-*.parquet"))
    ):
        there = pq.read_schema(files[0]).names
        if lacking := [name for name in COLUMNS.names if name not in there]:
            event(
                log,
                logging.WARNING,
                "files of an earlier version lack columns, and most readers take those of the first file: export into "
                "another folder to have them",
                folder=folder,
                columns=",".join(lacking),
            )


def fill(
    settings: ExportSettings, about: About, gap: Range, stream: Stream, tally: Tally, advance: Callable[[int], None]
) -> None:
    """Cover a gap with files that end at the multiples of OFFSETS_PER_FILE, the last one at the gap's end.

    Where nothing lies in a file's range, the range is joined with the next one: there are no empty files. A file ends
    earlier where the columns change: the vectors of another model may be of another length.
    """
    first = done = gap.first
    file = Unfinished(settings.folder, about.format, about.of)

    def finish(end: int) -> None:
        nonlocal first, file
        file.finish(file_name(about.topic, Range(gap.partition, first, end), about.format))
        tally.files += 1
        tally.rows += file.rows
        first, file = end, Unfinished(settings.folder, about.format, about.of)

    try:
        for records, position in split(stream, gap.first, settings.offsets_per_file):
            for _, rows in itertools.groupby(_rows(records, about, tally), about.of.columns):
                alike = list(rows)
                if not file.takes(alike[0]):
                    finish(alike[0]["offset"])
                file.add(alike)
            if file.rows and (position == gap.end or position % settings.offsets_per_file == 0):
                finish(position)
            advance(position - done)
            done = position
    finally:
        file.discard()


def _rows(records: Sequence[Any], about: About, tally: Tally) -> list[Row]:
    rows = []
    for record in records:
        if about.since is not None and record.timestamp < milliseconds(about.since):
            continue  # times of writing need not grow with the offsets
        if row := parse_or_skip(about.of.to_row, record, about.of.noun):
            rows.append(row)
        else:
            tally.unreadable += 1
    return rows


def check_reach(about: About, wanted: Range, earliest: int, files: Iterable[Range]) -> None:
    """Say when retention took what no run has seen: it is a hole in the names, and never a silent one.

    Of a partition without files all that expired was never exported. With --since that is no loss as long as something
    older is still there: then what expired is older, too.

    Args:
        about: what the files are of.
        wanted: the offsets that they are to cover.
        earliest: where the partition begins now.
        files: what they cover.

    Raises:
        CommandError: the files go on where the topic does not.
    """
    ends = [each.end for each in files if each.partition == wanted.partition]
    reach = max(ends, default=0 if wanted.first == earliest else earliest)
    if reach < earliest:
        perhaps = "" if ends or about.since is None else ", or before --since"
        event(
            log,
            logging.WARNING,
            f"{about.of.noun}s expired before they were exported{perhaps}",
            topic=about.topic,
            partition=wanted.partition,
            exported_to=reach,
            earliest=earliest,
            passed=earliest - reach,
        )
    if reach > wanted.end:
        raise CommandError(
            f"the files reach to offset {reach} of {about.topic}/{wanted.partition}, which ends at {wanted.end}: "
            "the topic has lost records; take another folder"
        )
