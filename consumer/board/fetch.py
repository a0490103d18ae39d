"""The stage that fetches single records by offset, for the pictures: one consumer that seeks, on its own thread."""

import logging
import queue
import threading
import time
from collections.abc import Collection, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, OffsetOutOfRangeError, TopicAuthorizationFailedError

from producer.base.logs import event

log = logging.getLogger(__name__)

MOST_WAITING = 512
"""Records that may be asked for at once; a browser asks again."""
PATIENCE = 10.0
"""Seconds that a record may take, from when it was asked for."""
AHEAD = 64 * 1024
"""Bytes of a partition that one answer of the broker brings: a few pictures; a seek drops the rest."""
NEAR = 20
"""Offsets that are read over rather than sought: a seek drops what has been fetched ahead."""

LOST = "The broker does not answer; trying again."


@dataclass(slots=True)
class Asked:
    """A record that somebody waits for.

    Attributes:
        futures: of all who do.
        until: when they have waited long enough, in monotonic seconds.
    """

    until: float
    futures: list[Future[Any]] = field(default_factory=list)


Wanted = dict[TopicPartition, dict[int, Asked]]
"""By partition and offset."""


class Gone(Exception):
    """The topic has no such record, or no longer."""


class Away(Exception):
    """The record cannot be fetched now; the text is a sentence for the page that asked."""


class Fetcher:
    """Records of any partition, at the offsets that are asked for."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        """Begin with nothing asked for.

        Args:
            consumer: without a group; from now on this thread's alone.
        """
        self._consumer = consumer
        self._asked: queue.Queue[tuple[TopicPartition, int, Future[Any]]] = queue.Queue(MOST_WAITING)
        self._wanted: Wanted = {}  # what was taken from there and is not answered

    def ask(self, topic: str, partition: int, offset: int) -> Future[Any]:
        """The record that lies there, as kafka-python returns it, or a `Gone` or `Away`.

        Raises:
            Away: too much is asked for already.
        """
        future: Future[Any] = Future()
        try:
            self._asked.put_nowait((TopicPartition(topic, partition), offset, future))
        except queue.Full:
            raise Away("Too many pictures are being fetched; trying again.") from None
        return future

    def run(self, stop: threading.Event) -> None:
        """Answer until `stop` is set."""
        while not stop.is_set():
            try:
                self._take()
                if self._wanted:
                    self._read()
            except Exception as error:  # the thread may not end: nobody would see another picture
                if not isinstance(error, KafkaError | OSError):
                    event(log, logging.ERROR, "fetching failed", why=f"{type(error).__name__}: {error}")
                _answer_all(self._wanted.values(), Away(LOST))
                self._wanted.clear()
                self._consumer.unsubscribe()

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close(timeout_ms=1_000)

    def _take(self) -> None:
        """Take up what is asked for now; with nothing else to do, wait half a second for it."""
        new: dict[TopicPartition, set[int]] = {}
        until = time.monotonic() + PATIENCE
        try:
            asked = self._asked.get(not self._wanted, timeout=0.5)
            while True:
                partition, offset, future = asked
                self._wanted.setdefault(partition, {}).setdefault(offset, Asked(until)).futures.append(future)
                new.setdefault(partition, set()).add(offset)
                asked = self._asked.get_nowait()
        except queue.Empty:
            pass
        if not new:
            return
        self._drop_what_does_not_exist()
        afresh = [each for each in new if each in self._wanted and not self._comes_anyhow(each, new[each])]
        self._consumer.assign([each for each in self._wanted if each not in afresh])  # forgets where the others end
        self._consumer.assign(list(self._wanted))
        for partition in afresh:
            self._consumer.seek(partition, min(self._wanted[partition]))

    def _comes_anyhow(self, partition: TopicPartition, offsets: set[int]) -> bool:
        """Whether these lie before a partition's end and are not read over yet."""
        if partition not in self._consumer.assignment():
            return False
        end = self._consumer.highwater(partition)
        return end is not None and self._position(partition) <= min(offsets) and max(offsets) < end

    def _read(self) -> None:
        """Poll once, and answer what came or has taken too long; no partition waits for another."""
        wanted, polled = self._wanted, {}
        try:
            polled = self._consumer.poll(timeout_ms=50, max_records=NEAR)
        except OffsetOutOfRangeError:
            self._drop_what_is_outside()
        except TopicAuthorizationFailedError as error:
            self._drop_what_is_refused(error.args[0])
        now = time.monotonic()
        for partition, offsets in wanted.items():
            self._settle(partition, offsets, {record.offset: record for record in polled.get(partition, ())})
            for offset in [offset for offset, asked in offsets.items() if asked.until < now]:
                _answer(offsets.pop(offset), Away(LOST))
            if offsets and min(offsets) > self._position(partition) + NEAR:
                self._consumer.seek(partition, min(offsets))
        self._wanted = {partition: offsets for partition, offsets in wanted.items() if offsets}
        if len(self._wanted) < len(wanted):
            self._consumer.assign(list(self._wanted))  # not `pause`: see consumer/kafka/README.md, fact 38

    def _settle(self, partition: TopicPartition, offsets: dict[int, Asked], records: dict[int, Any]) -> None:
        """Hand out these records.

        Below the position nothing more comes: what is wanted there was aborted or compacted away, or is a marker.
        """
        at, end = self._position(partition), self._consumer.highwater(partition)
        for offset in list(offsets):
            if offset in records or offset < at or (end is not None and offset >= end):
                _answer(offsets.pop(offset), records.get(offset, Gone(f"there is no record at offset {offset}")))

    def _drop_what_does_not_exist(self) -> None:
        """Answer for partitions that are nowhere; what is known of the topics may be minutes old: ask before that."""
        wanted = self._wanted
        if not (new := [p for p in wanted if p.partition not in self._consumer.partitions_for_topic(p.topic)]):
            return
        topics = self._consumer.topics()
        for partition in [p for p in new if p.partition not in self._consumer.partitions_for_topic(p.topic)]:
            if partition.topic in topics:
                error: Exception = Gone("there is no such partition")
            else:
                error = Away(f"There is no topic {partition.topic}, or the board may not see it; trying again.")
            _answer_all([wanted.pop(partition)], error)

    def _drop_what_is_outside(self) -> None:
        begins = self._consumer.beginning_offsets(list(self._wanted), timeout_ms=3_000)
        ends = self._consumer.end_offsets(list(self._wanted), timeout_ms=3_000)
        for partition, offsets in self._wanted.items():
            for offset in [o for o in offsets if not begins[partition] <= o < ends[partition]]:
                _answer(offsets.pop(offset), Gone(f"offset {offset} is no longer in the topic"))
            if offsets:
                self._consumer.seek(partition, min(offsets))

    def _drop_what_is_refused(self, topics: Collection[str]) -> None:
        for partition, offsets in self._wanted.items():
            if partition.topic in topics:
                _answer_all([offsets], Away(f"The board may not read the topic {partition.topic}; trying again."))
                offsets.clear()

    def _position(self, partition: TopicPartition) -> int:
        return self._consumer.position(partition, timeout_ms=1_000) or 0


def _answer_all(wanted: Iterable[dict[int, Asked]], error: Exception) -> None:
    for offsets in wanted:
        for asked in offsets.values():
            _answer(asked, error)


def _answer(asked: Asked, answer: Any) -> None:
    """A record, or why there is none, for everybody who still waits for it."""
    for future in asked.futures:
        if not future.set_running_or_notify_cancel():  # whoever asked has lost patience
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
