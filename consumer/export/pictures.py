"""The command `pictures`: chosen posts of an export of vectors, from the input topic, as a dataset of pictures.

The evaluation shows posts to people, and knows no Kafka; what is fetched stays there when the topic has lost it.
"""

import csv
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
from kafka import TopicPartition
from kafka.errors import KafkaError, OffsetOutOfRangeError, UnknownTopicOrPartitionError
from pydantic import AliasChoices, Field
from pydantic_settings import CliPositionalArg

from consumer.kafka.bounded_consumer import build_consumer
from consumer.kafka.offsets import ends_of
from consumer.kafka.read_to_end import offsets_bar, read_range
from consumer.vector_table import exported_files
from producer.base.disk import whole
from producer.base.errors import CommandError
from producer.base.logs import LogSettings, setup
from producer.base.settings import KafkaSettings, load
from producer.post import BadRecord, Post, format_time
from producer.topics import admin_client

MANIFEST = "posts.csv"
COLUMNS = ("post_id", "city", "image_path", "caption", "created_at")
SOURCE = ["post_id", "source_topic", "source_partition", "source_offset"]


class PicturesSettings(KafkaSettings, LogSettings):
    """Fetch the pictures of some exported posts from the topic they came from, while they are there.

    Reads the folder of `export --vectors-topic` and a CSV with a column post_id, such as posts.csv of a sample. Writes
    the pictures and posts.csv, a dataset with their captions: for `evaluate sheet --dataset FOLDER/posts.csv`.
    """

    exported: CliPositionalArg[Path] = Field(description="folder of export --vectors-topic")
    posts: CliPositionalArg[Path] = Field(description="CSV with a column post_id")
    output: Path = Field(
        validation_alias=AliasChoices("output", "o"), description="folder to write: new, or of an earlier run"
    )


class Source(NamedTuple):
    """Where a post's record lies."""

    topic: str
    partition: int
    offset: int


def main(argv: list[str]) -> int:
    """Run `pictures`.

    Args:
        argv: flags of `PicturesSettings`.

    Raises:
        CommandError: no broker, no such posts, or a folder that cannot be written.
    """
    settings = load(PicturesSettings, "python -m consumer pictures", argv)
    setup(settings)
    wanted = sources(settings.exported, read_ids(settings.posts))
    try:
        settings.output.mkdir(parents=True, exist_ok=True)
        manifest = settings.output / MANIFEST
        if any(settings.output.iterdir()) and not manifest.is_file():
            raise CommandError(f"{settings.output} is not empty and no earlier run's: choose another folder")
        manifest.unlink(missing_ok=True)  # until it is written again these are no dataset
        written = _write(settings, wanted)
    except OSError as error:
        raise CommandError(f"{settings.output} cannot be written: {error.strerror or error}") from None
    gone = f"; {len(wanted) - written:,} are no longer in the topic" if written < len(wanted) else ""
    print(f"{manifest}: {written:,} posts{gone}")
    return 0


def read_ids(path: Path) -> list[str]:
    """The column post_id of a CSV.

    Raises:
        CommandError: it cannot be read, or has none.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [row["post_id"] for row in csv.DictReader(file)]
    except KeyError:
        raise CommandError(f"{path}: no column post_id") from None
    except (OSError, UnicodeError, csv.Error) as error:
        raise CommandError(f"{path} cannot be read: {error}") from None


def sources(folder: Path, post_ids: Collection[str]) -> dict[str, Source]:
    """Where the posts' records lie; of an id that is there twice the first counts, as in a score folder.

    Raises:
        CommandError: the folder is no export of vectors, or does not have all these posts.
    """
    files = exported_files(folder)
    if files is None:
        raise CommandError(f"{folder} is no export: `python -m consumer export --vectors-topic TOPIC` writes one")
    left, found = set(post_ids), dict[str, Source]()
    for path in files:
        table = pq.read_table(path, columns=SOURCE)
        for post_id, *source in zip(*(table.column(name).to_pylist() for name in SOURCE), strict=True):
            if post_id in left:
                left.remove(post_id)
                found[post_id] = Source(*source)
    if left:
        more = f" and {len(left) - 1:,} more" if len(left) > 1 else ""
        raise CommandError(f"{folder} has no post {min(left)}{more}")
    return found


def _write(settings: PicturesSettings, wanted: dict[str, Source]) -> int:
    """The pictures, and then the table that makes them a dataset; how many there are."""
    rows: list[Sequence[str]] = []
    there = _still_there(settings, wanted)
    with (
        closing(build_consumer(settings, "placestream-pictures")) as consumer,
        offsets_bar("fetching", len(there)) as advance,
    ):
        for post in _fetch(consumer, there):
            advance(1)
            if post is not None:
                name = f"{len(rows) + 1:05d}"  # ids are the senders' text: they name no files
                (settings.output / name).write_bytes(post.picture)
                moment = format_time(post.created_at) if post.created_at else ""
                rows.append((post.post_id, post.city, name, post.caption or "", moment))
    if not rows:
        raise CommandError(f"none of the {len(wanted):,} posts is in its topic any more: give a dataset to --dataset")
    with whole(settings.output / MANIFEST, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
    return len(rows)


def _still_there(settings: PicturesSettings, wanted: dict[str, Source]) -> dict[str, Source]:
    """Those whose offsets their topic has."""
    there = dict[str, Source]()
    with admin_client(settings) as admin:
        for topic in {source.topic for source in wanted.values()}:
            try:
                ends = ends_of(admin, topic)
            except UnknownTopicOrPartitionError:
                raise CommandError(f"topic {topic} does not exist at {settings.bootstrap_servers}") from None
            except KafkaError as error:
                raise CommandError(f"topic {topic} cannot be looked at: {error}") from None
            for post_id, source in wanted.items():
                partition = TopicPartition(source.topic, source.partition)
                if ends.earliest.get(partition, 0) <= source.offset < ends.latest.get(partition, 0):
                    there[post_id] = source
    return there


def _fetch(consumer: Any, wanted: dict[str, Source]) -> Iterator[Post | None]:
    """One post after the other, in the order of the offsets; None where another record lies there, or none."""
    for post_id, source in sorted(wanted.items(), key=lambda item: item[1]):
        partition = TopicPartition(source.topic, source.partition)
        post = None
        try:
            found = read_range(consumer, {partition: source.offset}, {partition: source.offset + 1}, most=1)
            for record in [record for polled, _ in found for record in polled.get(partition, ())]:
                post = Post.from_record(record.key, record.value, record.headers)
        except (OffsetOutOfRangeError, BadRecord):  # it has expired just now; another record lies there
            pass
        except KafkaError as error:
            raise CommandError(f"{source.topic}/{source.partition}/{source.offset} cannot be read: {error}") from None
        yield post if post is not None and post.post_id == post_id else None
