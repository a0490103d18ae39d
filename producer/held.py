"""Whether a topic holds posts of a dataset already: sent again, they would be counted again.

A topic may hold millions of posts, so it is not read, but looked at in some places that lie evenly apart.
"""

import logging
import struct
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kafka import TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError, TopicAuthorizationFailedError
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.memory_records import MemoryRecords

from producer.base.errors import CommandError
from producer.base.fetch import fetch_batches
from producer.dataset.entry import Entry, Refused
from producer.post import BadRecord, Post
from producer.topics import Topic

log = logging.getLogger(__name__)

PLACES = 64
"""Looked at in all partitions together. A replay that makes up more than a 7th of the topic cannot slip through."""
PARTITIONS = 8
"""Most partitions that are looked at: the ids of a dataset are spread over all."""
PLACE_BYTES = 256 * 1024
"""Of a place; at least one batch. Two consecutive posts of 100 kB may be one."""
LONGEST = 30.0
"""Seconds for going through the dataset: a million posts of a folder take half of it."""


@dataclass(frozen=True, slots=True)
class Held:
    """Where a post lies, and when its record entered Kafka."""

    partition: int
    offset: int
    timestamp_ms: int


def check_not_held(admin: Any, topic: Topic, entries: Iterable[Entry | Refused]) -> None:
    """Make sure that the topic holds no post of a dataset, as far as a look at some places tells.

    Args:
        admin: connected.
        topic: of the posts.
        entries: what is to be sent; gone through only where the topic holds posts.

    Raises:
        CommandError: it holds one: a post is the same by its id and its city.
    """
    try:
        held, unknown = _look(admin, topic), "its batches are compressed" if topic.is_recompressed else None
    except TopicAuthorizationFailedError:
        held, unknown = {}, "READ is not allowed"
    except KafkaError as error:
        held, unknown = {}, str(error)
    deadline = time.monotonic() + LONGEST
    for entry in entries if held else ():
        if time.monotonic() > deadline:
            unknown = f"the dataset was compared with it for {LONGEST:g} s, and goes on"
            break
        if isinstance(entry, Entry) and (found := held.get((entry.post_id, entry.city))):
            sent = datetime.fromtimestamp(found.timestamp_ms / 1000, UTC)
            raise CommandError(
                f"topic {topic.name} already holds post {entry.post_id} of this dataset (partition {found.partition}, "
                f"offset {found.offset}, sent {sent:%Y-%m-%d %H:%M} UTC); nothing was sent, for a second replay "
                "doubles every count: --again sends all the same, --start-after ID goes on after a post"
            )
    if unknown:
        log.warning("topic %s: %s, so it is not known whether it holds these posts already", topic.name, unknown)


def _look(admin: Any, topic: Topic) -> dict[tuple[str, str], Held]:
    """Posts that the topic holds, by id and city."""
    partitions = [TopicPartition(topic.name, number) for number in range(min(topic.partitions, PARTITIONS))]
    first, following = (
        admin.list_partition_offsets(dict.fromkeys(partitions, spec))
        for spec in (OffsetSpec.EARLIEST, OffsetSpec.LATEST)
    )
    held = {}
    for partition in partitions:
        begin, last = first[partition].offset, following[partition].offset - 1
        steps = max(2, PLACES // len(partitions)) - 1
        for offset in {begin + (last - begin) * step // steps for step in range(steps + 1)} if last >= begin else ():
            for record in _records(fetch_batches(admin, partition, offset, PLACE_BYTES)):
                try:
                    post = Post.from_record(record.key, record.value, record.headers)
                except BadRecord:
                    continue
                held[post.post_id, post.city] = Held(partition.partition, record.offset, record.timestamp)
    return held


def _records(fetched: bytes) -> Iterator[Any]:
    """The records of uncompressed batches, as `replay` sends them; others may unpack to more than there is memory."""
    batches = MemoryRecords(fetched)
    try:
        while batch := batches.next_batch():
            if isinstance(batch, DefaultRecordBatch) and not (batch.compression_type or batch.is_control_batch):
                yield from batch
    except (KafkaError, ValueError, IndexError, struct.error):  # a stranger's again: `label` says what is wrong with it
        return
