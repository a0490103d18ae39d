"""The labels of a topic, or of an export's folder, in 17 bytes a post: millions of them are held in memory."""

import json
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from kafka.errors import KafkaError, UnknownTopicOrPartitionError
from numpy.typing import NDArray
from pydantic import ValidationError

from consumer.classify.decision import Decision
from consumer.kafka.read_to_end import read_whole
from consumer.labeled_post import DecisionRecord, parse_or_skip
from consumer.record import Record
from producer.base.errors import CommandError
from producer.base.settings import KafkaSettings
from producer.topics import admin_client

NOT_CLASSIFIED = 0
"""The number of no place."""
COLUMNS = ["post_id", "city", "place", "decided_by", "image", "decision", "encoder", "places"]


class Part(Record):
    """What is read of a picture's own winner."""

    confidence: float


class Labelled(Record):
    """What is read of a labelled post, whether it comes of a topic or of a file."""

    post_id: str
    city: str
    place: str | None
    decided_by: str
    image: Part
    decision: DecisionRecord
    encoder: str
    places: str

    @property
    def stamp(self) -> str:
        """Who made the label, as the counters name it."""
        return f"{self.encoder} | {self.places} | {decision_of(self.decision)}"

    @property
    def lacks_caption(self) -> bool:
        """Whether the picture decided although the decision asks for a caption: there is none, or none was encoded."""
        return self.decided_by == "image" and not decision_of(self.decision).needs_no_caption(self.image.confidence)


@dataclass(slots=True)
class Names:
    """Names as numbers, in the order in which they were first met; shared by both sides."""

    number: dict[str | None, int] = field(default_factory=lambda: {None: NOT_CLASSIFIED})

    def of(self, name: str | None) -> int:
        """Its number."""
        return self.number.setdefault(name, len(self.number))

    @property
    def names(self) -> list[str | None]:
        """By number; that of no place has none."""
        return list(self.number)


@dataclass(frozen=True, slots=True)
class Side:
    """The labels of one side, one a post: of several the last one that was read.

    Attributes:
        name: topic or folder.
        posts: hashes of the posts' ids, ascending, ``[n]``.
        places: numbers of their places, ``[n]``.
        cities: numbers of their cities, ``[n]``.
        lacks_caption: see `Labelled`, ``[n]``.
        stamps: who made the labels -> how many.
        doubled: labels that a later one of the same post replaces.
    """

    name: str
    posts: NDArray[np.uint64]
    places: NDArray[np.uint32]
    cities: NDArray[np.uint32]
    lacks_caption: NDArray[np.bool_]
    stamps: Mapping[str, int]
    doubled: int

    @classmethod
    def of(cls, name: str, labels: Iterable[Labelled], places: Names, cities: Names) -> "Side":
        """Read all labels of one side.

        Raises:
            CommandError: there are none.
        """
        columns = array("Q"), array("I"), array("I"), array("B")
        stamps: Counter[str] = Counter()
        for label in labels:
            row = _hash(label.post_id), places.of(label.place), cities.of(label.city), label.lacks_caption
            for column, value in zip(columns, row, strict=True):
                column.append(value)
            stamps[label.stamp] += 1
        if not stamps:
            raise CommandError(f"no labelled post in {name}")
        found = [np.frombuffer(column, f"u{column.itemsize}") for column in columns]
        posts, last = np.unique(found[0][::-1], return_index=True)
        rows = len(found[0]) - 1 - last
        return cls(name, posts, found[1][rows], found[2][rows], found[3][rows] > 0, stamps, len(found[0]) - len(posts))


def read(settings: KafkaSettings, name: str) -> Iterator[Labelled]:
    """The labels of a folder, if there is one of this name, else of a topic.

    Raises:
        CommandError: no such topic or folder, or it cannot be read.
    """
    return _of_folder(Path(name)) if Path(name).is_dir() else _of_topic(settings, name)


@cache
def decision_of(record: DecisionRecord) -> Decision:
    """The decision of a record; all labels of a run have the same."""
    return record.to_decision()


def _hash(post_id: str) -> int:
    """In 64 bits: of ten million posts two share one with a chance of 1 in 400,000."""
    return int.from_bytes(blake2b(post_id.encode(errors="replace"), digest_size=8).digest(), "little")


def _of_topic(settings: KafkaSettings, topic: str) -> Iterator[Labelled]:
    try:
        with admin_client(settings) as admin:
            for record in read_whole(settings, "placestream-diff", admin, topic, f"reading {topic}"):
                if label := parse_or_skip(Labelled.from_record, record):
                    yield label
    except UnknownTopicOrPartitionError:
        raise CommandError(
            f"{topic} is no folder, and no topic at {settings.bootstrap_servers}; give two topics of labels, or two "
            "folders of `export`"
        ) from None
    except KafkaError as error:
        raise CommandError(f"topic {topic} cannot be read: {error}; run it again") from None


def _of_folder(folder: Path) -> Iterator[Labelled]:
    files = sorted([*folder.glob("*.parquet"), *folder.glob("*.jsonl")])
    if not files:
        raise CommandError(f"{folder} has no file of an export (*.parquet, *.jsonl)")
    for file in files:
        try:
            yield from map(Labelled.model_validate, _rows(file))
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise CommandError(f"{file} is no file of an export: {why}") from None


def _rows(file: Path) -> Iterator[Any]:
    if file.suffix == ".parquet":
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(columns=COLUMNS):
                yield from batch.to_pylist()
    else:
        with file.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)
