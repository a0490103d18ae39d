"""What came out already, read from the outputs themselves: a broker may forget committed offsets, but no label.

A killed Kafka 4.4 may serve old ones (consumer/kafka/README.md, fact 19).
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError, UnknownTopicOrPartitionError

from consumer.dead_letter import SOURCE, short_key
from consumer.kafka.bounded_consumer import build_consumer
from consumer.kafka.offsets import ROUND_TRIP_MS, is_same_topic
from consumer.label.settings import WorkerSettings
from consumer.origin import SOURCE_TOPIC_ID, Origin
from producer.serialised import is_key_of

LABELS_BACK = (2, 16, 256, 4096)
"""Offsets from the labels' end within which this group's last one is looked for, one after the other: a marker,
labels of other groups and aborted ones may lie behind it."""
DEAD_LETTERS_BACK = LABELS_BACK[:3]
"""The same for dead letters, which carry pictures. Where labels follow the last one, it says nothing new."""


def origin_of(record: Any) -> Origin | None:
    """What a record of an output says it was made of, and by whom; None: it does not say."""
    headers = dict(record.headers)  # the last of a repeated name counts
    source = headers.get(SOURCE) or headers.get("ce_source", b"") + b"/" + headers.get("ce_id", b"")
    return Origin.parse(source.decode(errors="replace"))


@dataclass(frozen=True, slots=True)
class Out:
    """A label or dead letter that this group has committed.

    Attributes:
        offset: of its post in the input topic.
        key: of the record: the post's, its id (where a serialiser has made its key), or the hash in a dead letter.
        timestamp: when it was sent, in ms since 1970.
        topic_id: of the topic that its post lies in; empty: it does not say.
    """

    offset: int
    key: bytes | None
    timestamp: int
    topic_id: str

    @classmethod
    def of(cls, record: Any, group_id: str, partition: TopicPartition) -> "Out | None":
        """None for what another group made, or made of another partition.

        Args:
            record: of an output.
            group_id: of this worker.
            partition: of the input.
        """
        origin = origin_of(record)
        if origin is None or origin != Origin(group_id, partition.topic, partition.partition, origin.offset):
            return None
        headers = dict(record.headers)
        topic_id = headers.get(SOURCE_TOPIC_ID, b"").decode(errors="replace")
        return cls(origin.offset, record.key, record.timestamp, topic_id)


class Published:
    """The ends of the two outputs. Owned by the main thread."""

    def __init__(self, settings: WorkerSettings) -> None:
        """Connect.

        Raises:
            CommandError: the broker cannot be reached.
        """
        self._group = settings.group_id
        self._back = {settings.output_topic: LABELS_BACK, settings.dead_letter_topic: DEAD_LETTERS_BACK}
        self._outs: dict[TopicPartition, Out] = {}  # output partition -> the last of this group's that was found there
        self._looked: dict[TopicPartition, int] = {}  # output partition -> how far it was looked through
        self._consumer = build_consumer(
            settings,
            f"{settings.member}-published",
            fetch_max_wait_ms=50,
            metadata_max_age_ms=ROUND_TRIP_MS,  # new partitions of the outputs are asked for at once
        )

    def beyond(self, committed: Mapping[TopicPartition, int], topic_id: str) -> dict[TopicPartition, int]:
        """Where partitions go on of which more came out than is committed.

        Args:
            committed: the next offset of each partition of the input.
            topic_id: of the input as it is now; empty: its broker gives topics none.

        Returns:
            The offset after the last post that came out, of those partitions alone. It is also right where dead
            letters follow the last label, and where the topic was recreated.

        Raises:
            KafkaError: the broker did not answer.
        """
        inputs = {TopicPartition(topic, each.partition): each for topic in self._back for each in committed}
        after = dict(committed)
        for output, out in self._last(inputs).items():
            partition = inputs[output]
            if out.offset >= after[partition] and self._is_made_of(partition, topic_id, out):
                after[partition] = out.offset + 1
        return {partition: offset for partition, offset in after.items() if offset > committed[partition]}

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close(timeout_ms=ROUND_TRIP_MS)

    def _last(self, inputs: Mapping[TopicPartition, TopicPartition]) -> dict[TopicPartition, Out]:
        """The last committed record of each output partition that this group has made of its input partition."""
        try:
            ends = self._consumer.end_offsets(list(inputs), timeout_ms=ROUND_TRIP_MS)
        except KeyError as missing:  # not in its metadata (consumer/kafka/README.md, fact 34)
            raise UnknownTopicOrPartitionError(
                f"{missing}: the input has grown, and this output has not, or not long ago"
            ) from None
        begins = self._consumer.beginning_offsets(list(inputs), timeout_ms=ROUND_TRIP_MS)
        new = {output: max(begins[output], self._looked_through(output, ends[output])) for output in inputs}
        for topic, back in self._back.items():
            left = {output for output in inputs if output.topic == topic and new[output] < ends[output]}
            for distance in back:
                starts = {output: max(new[output], ends[output] - distance) for output in left}
                for record in self._read(starts, ends):
                    output = TopicPartition(record.topic, record.partition)
                    if out := Out.of(record, self._group, inputs[output]):
                        self._outs[output] = out
                        left.discard(output)
                left = {output for output in left if starts[output] > new[output]}
        self._looked |= ends
        return {output: self._outs[output] for output in inputs if output in self._outs}

    def _looked_through(self, output: TopicPartition, end: int) -> int:
        """How far an output was looked through; not at all if it is another one now, for it is shorter."""
        if self._looked.get(output, 0) > end:
            del self._looked[output]
            self._outs.pop(output, None)
        return self._looked.get(output, 0)

    def _is_made_of(self, partition: TopicPartition, topic_id: str, out: Out) -> bool:
        """Whether the input still has the post there, and not another one: the topic may have been recreated.

        Where one of the two ids is missing, a post that is younger than the output is another one. That compares two
        clocks: what an older worker published, or a broker without topic ids holds, is recognised only if they agree.
        """
        if not is_same_topic(out.topic_id, topic_id):
            return False
        begins = self._consumer.beginning_offsets([partition], timeout_ms=ROUND_TRIP_MS)
        ends = self._consumer.end_offsets([partition], timeout_ms=ROUND_TRIP_MS)
        if not begins[partition] <= out.offset < ends[partition]:
            return False
        found = self._read({partition: out.offset}, {partition: out.offset + 1})
        post = next((record for record in found if record.offset == out.offset), None)
        if post is None or (not (out.topic_id and topic_id) and post.timestamp > out.timestamp):
            return False
        if post.key is None or short_key(post.key) == short_key(out.key):
            return True
        return out.key is not None and is_key_of(post.key, out.key.decode("utf-8", "replace"))

    def _read(self, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]) -> Iterator[Any]:
        """The committed records between these offsets."""
        self._consumer.assign(list(starts))
        for partition, offset in starts.items():
            self._consumer.seek(partition, offset)
        left, deadline = dict(starts), time.monotonic() + ROUND_TRIP_MS / 1000
        while left:
            for partition, records in self._consumer.poll(timeout_ms=100).items():
                yield from (record for record in records if record.offset < ends[partition])
            now = {each: self._consumer.position(each, timeout_ms=ROUND_TRIP_MS) for each in left}
            if now != left:  # it may be much, over a slow line
                deadline = time.monotonic() + ROUND_TRIP_MS / 1000
            elif time.monotonic() > deadline:
                raise KafkaTimeoutError("the ends of the outputs cannot be read")
            left = {each: position for each, position in now.items() if position < ends[each]}
