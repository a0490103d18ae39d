"""The labelled topic as chunks for counting: read_committed, without a group; the only offsets are those in Redis."""

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kafka import TopicPartition
from kafka.errors import (
    CorruptRecordError,
    InvalidTopicError,
    KafkaError,
    UnknownTopicOrPartitionError,
    UnsupportedCodecError,
)

from consumer.count.known import LabeledRecord
from consumer.count.settings import CounterSettings
from consumer.count.store import Offsets
from consumer.kafka.bounded_consumer import build_consumer
from consumer.kafka.lag import Behind, Partitions
from consumer.kafka.offsets import ROUND_TRIP_MS, ends_of, is_same_topic, look_up, topic_id_of
from consumer.kafka.read_to_end import POLL_MS, Silence, offsets_bar
from consumer.labeled_post import LabeledPost, parse_or_skip
from consumer.metrics import CountMetrics
from producer.base.connect import connect
from producer.base.errors import CommandError
from producer.base.logs import event
from producer.topics import admin_client

log = logging.getLogger(__name__)

CHUNK = 2_000
"""Most records that one script adds to Redis."""
LOOK_EVERY = 30.0
"""Seconds between two looks whether the topic has grown partitions or is another one."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Labelled posts, where every partition's counters stand without them, and where those that move stand after.

    Attributes:
        labeled: in the order of offsets; those below `before` are counted, but not known yet.
        known_to: where the knowledge stands of which cities came first.
        after: where both stand then, if the counters are not further on.
    """

    labeled: list[LabeledRecord]
    before: Offsets
    known_to: Offsets
    after: dict[int, int]


class Reader:
    """Reads every partition of the labelled topic from where the counters stand."""

    def __init__(self, settings: CounterSettings, metrics: CountMetrics) -> None:
        """Connect.

        Raises:
            CommandError: the broker cannot be reached, or has no such topic.
        """
        self._topic = settings.output_topic
        self._metrics = metrics
        admin = {"client_id": "placestream-count-admin", "request_timeout_ms": ROUND_TRIP_MS}
        self._admin = admin_client(settings, **admin)
        self._behind = Behind(admin_client(settings, **admin), Partitions({}, {}), {metrics.lag: Partitions.lag})
        self.topic_id = connect(settings, self._topic_id)
        self._until: dict[int, int] | None = None
        self._consumer = build_consumer(settings, "placestream-count")
        self._stands: dict[int, int | None] = {}  # partition -> offset in Redis; None: nothing counted yet
        self._known_to: dict[int, int | None] = {}  # likewise, of the cities that came first
        self._expired_below: dict[int, int] = {}  # partition -> offset below which expired records are reported
        self._looked_at = time.monotonic()
        self._silence = Silence()

    def go_on_from(self, stored: Mapping[int, int], known_to: Mapping[int, int] | None = None) -> None:
        """Seek every partition to its stored offset, or to the beginning of the topic.

        Args:
            stored: partition -> offset in Redis.
            known_to: partition -> offset below which it is known which cities came first, None: the same. Where a
                version of before has counted on without that, it is read again from there.

        Raises:
            KafkaError: the broker does not answer.
            CommandError: the topic is another one than at the start.
        """
        if not is_same_topic(self._topic_id(), self.topic_id):
            raise CommandError(
                f"topic {self._topic} was deleted and created again: its counters are of the old one; "
                "`python -m consumer recount` counts the new one"
            )
        ends = ends_of(self._admin, self._topic)
        wanted = [tp for tp in sorted(ends.earliest) if self._until is None or tp.partition in self._until]
        self._consumer.assign(wanted)
        self._stands, self._known_to = {}, {}
        starts: dict[TopicPartition, int] = {}
        for partition in wanted:
            beginning = ends.earliest[partition]
            number = partition.partition
            offset = stored.get(number)
            self._stands[number] = offset
            self._known_to[number] = known = (stored if known_to is None else known_to).get(number)
            if offset is not None and (told := max(offset, self._expired_below.get(number, 0))) < beginning:
                self._expired_below[number] = beginning
                self._metrics.expired.labels(str(number)).inc(beginning - told)
                event(
                    log,
                    logging.WARNING,
                    "labelled posts expired before they were counted",
                    topic=self._topic,
                    partition=number,
                    stored=offset,
                    earliest=beginning,
                    passed=beginning - told,
                )
            if offset is not None and offset > ends.latest[partition]:
                raise CommandError(
                    f"the counters stand at offset {offset} of {self._topic}/{number}, which ends at "
                    f"{ends.latest[partition]}: the topic has lost records; `python -m consumer recount` starts over"
                )
            start = max(beginning, min(offset or 0, known or 0))
            starts[partition] = max(start, offset or 0)
            self._consumer.seek(partition, start)
            if start < (offset or 0):
                event(
                    log,
                    logging.INFO,
                    "an earlier version counted these: reading once which cities came first",
                    partition=number,
                    begin=start,
                    end=offset,
                )
        self._behind.restart(Partitions(starts, ends.latest))
        self._silence.end()

    def stands_at(self, stored: Mapping[int, int]) -> bool:
        """Whether Redis still stands where this reader left it.

        Args:
            stored: partition -> offset in Redis, now.
        """
        return all(stored.get(number) == offset for number, offset in self._stands.items())

    def next_chunk(self) -> Chunk | None:
        """The next labelled posts, or None when for half a second nothing came that is wanted.

        Raises:
            KafkaError: read on with `go_on_from`.
            CommandError: a record cannot be read.
        """
        if time.monotonic() - self._looked_at > LOOK_EVERY:
            self._look()
        polled = self._poll()
        wanted = {tp.partition: self._wanted(tp.partition, records) for tp, records in polled.items()}
        after = {number: records[-1].offset + 1 for number, records in wanted.items() if records}
        if not after:
            self._measure_lag()
            return None
        self._silence.end()
        labeled = [
            LabeledRecord(number, record.offset, post)
            for number, records in wanted.items()
            for record in records
            if (post := self._read(record))
        ]
        return Chunk(labeled, dict(self._stands), dict(self._known_to), after)

    def record_counted(self, chunk: Chunk) -> None:
        """Record that the chunk is in Redis."""
        self._stands.update({number: max(offset, self._stands[number] or 0) for number, offset in chunk.after.items()})
        self._known_to.update(chunk.after)
        self._measure_lag()

    def read_whole(self, until: Mapping[int, int], doing: str) -> Iterator[Chunk]:
        """Read the topic from its beginning to these offsets, with a progress bar on a terminal.

        Args:
            until: as for `stop_at`.
            doing: what it is for, beside the bar.

        Raises:
            KafkaError: the broker was lost.
            CommandError: the topic is another one than at the start, or a record cannot be read.
        """
        self.stop_at(until)
        self.go_on_from({})
        first = {number: self._position(number) for number in until}
        with offsets_bar(doing, sum(max(0, end - first[number]) for number, end in until.items())) as advance:
            while not self.is_at_end():
                if chunk := self.next_chunk():
                    yield chunk
                    self.record_counted(chunk)
                    advance(sum(end - (chunk.before[number] or first[number]) for number, end in chunk.after.items()))

    def ends(self) -> tuple[dict[int, int], dict[int, int]]:
        """First and next offset of every partition, now, by its number.

        Raises:
            KafkaError: the broker does not answer.
        """
        ends = ends_of(self._admin, self._topic)
        first, following = ({tp.partition: at for tp, at in each.items()} for each in (ends.earliest, ends.latest))
        return first, following

    def stop_at(self, until: Mapping[int, int]) -> None:
        """Read no record from these offsets on.

        Args:
            until: partition -> offset; partitions that are not named are not read at all.
        """
        self._until = dict(until)

    def is_at_end(self) -> bool:
        """Whether everything up to the offsets of `stop_at` is read; without them there is no end."""
        if self._until is None:
            return False
        behind = [self._partition(number) for number, end in self._until.items() if self._position(number) < end]
        if behind:
            self._silence.check(behind)
        return not behind

    def close(self) -> None:
        """Close the clients."""
        self._consumer.close(timeout_ms=1_000)
        self._behind.close()
        self._admin.close()

    def _poll(self) -> dict[TopicPartition, list[Any]]:
        try:
            polled: dict[TopicPartition, list[Any]] = self._consumer.poll(timeout_ms=POLL_MS, max_records=CHUNK)
        except (CorruptRecordError, UnsupportedCodecError) as error:
            # Read again it would fail each time (consumer/kafka/README.md, fact 21).
            positions = ",".join(f"{number}@{self._position(number)}" for number in sorted(self._stands))
            raise CommandError(
                f"a record of {self._topic} cannot be read at or after one of the offsets {positions}: {error}"
            ) from None
        return polled

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        topic_id, partitions = look_up(self._admin, self._topic)
        has_grown = self._until is None and len(partitions) != len(self._stands)
        if has_grown or not is_same_topic(topic_id, self.topic_id):
            raise KafkaError(f"topic {self._topic} has changed")

    def _topic_id(self) -> str:
        try:
            return topic_id_of(self._admin, self._topic)
        except (UnknownTopicOrPartitionError, InvalidTopicError):
            raise CommandError(
                f"topic {self._topic} does not exist at this broker; `python -m producer topics` creates it"
            ) from None

    def _partition(self, number: int) -> TopicPartition:
        return TopicPartition(self._topic, number)

    def _position(self, number: int) -> int:
        return self._consumer.position(self._partition(number), timeout_ms=ROUND_TRIP_MS) or 0

    def _measure_lag(self) -> None:
        """All that was read is in Redis, so lag counts from the position, which passes markers; the counters do not."""
        self._behind.now.move({self._partition(number): self._position(number) for number in self._stands})

    def _wanted(self, number: int, records: list[Any]) -> list[Any]:
        """The records before the end; another `count` may have brought the counters beyond it."""
        return records if self._until is None else [r for r in records if r.offset < self._until[number]]

    def _read(self, record: Any) -> LabeledPost | None:
        post = parse_or_skip(LabeledPost.from_record, record)
        if post is None:
            self._metrics.unreadable.inc()
        return post
