"""The stage that fetches single records by offset, for the pictures: one consumer that seeks, on its own thread."""

import logging
import queue
import threading
import time
from collections.abc import Collection, Iterable
from concurrent.futures import Future
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, OffsetOutOfRangeError, TopicAuthorizationFailedError

from producer.base.logs import event

log = logging.getLogger(__name__)

MOST_WAITING = 512
"""Records that may be asked for at once; a browser asks again."""
PATIENCE = 5.0
"""Seconds after which the broker counts as lost."""
AHEAD = 256 * 1024
"""Bytes of a partition that one answer of the broker brings: a few pictures; a seek drops the rest."""
NEAR = 20
"""Offsets that are read over rather than sought: a seek drops what has been fetched ahead."""

Futures = list[Future[Any]]
Wanted = dict[TopicPartition, dict[int, Futures]]


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
            wanted = self._collect()
            if not wanted:
                continue
            try:
                self._fetch(wanted)
            except Exception as error:  # the thread may not end: nobody would see another picture
                if not isinstance(error, KafkaError | OSError):
                    event(log, logging.ERROR, "fetching failed", why=f"{type(error).__name__}: {error}")
            _answer_all(wanted.values(), Away("The broker does not answer; trying again."))
            self._consumer.unsubscribe()

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close(timeout_ms=1_000)

    def _collect(self) -> Wanted:
        """What is asked for now, after at most half a second of waiting for something."""
        wanted: Wanted = {}
        try:
            asked = self._asked.get(timeout=0.5)
            while True:
                partition, offset, future = asked
                wanted.setdefault(partition, {}).setdefault(offset, []).append(future)
                asked = self._asked.get_nowait()
        except queue.Empty:
            return wanted

    def _fetch(self, wanted: Wanted) -> None:
        """Settle what is wanted, partition by partition in the order of offsets, until the broker's time is up."""
        self._drop_what_does_not_exist(wanted)
        self._consumer.assign(list(wanted))
        for partition, offsets in wanted.items():
            self._consumer.seek(partition, min(offsets))
        heard_at = time.monotonic()
        while wanted and time.monotonic() - heard_at < PATIENCE:
            try:
                polled = self._consumer.poll(timeout_ms=250, max_records=NEAR)
            except OffsetOutOfRangeError:
                polled = {}
                self._drop_what_is_outside(wanted)
            except TopicAuthorizationFailedError as error:
                polled = {}
                _drop_what_is_refused(wanted, error.args[0])
            for partition in list(wanted):
                records = {record.offset: record for record in polled.get(partition, ())}
                if self._settle(partition, wanted[partition], records):
                    heard_at = time.monotonic()
                if not wanted[partition]:
                    del wanted[partition]
                    self._consumer.pause(partition)
                elif (lowest := min(wanted[partition])) > self._position(partition) + NEAR:
                    self._consumer.seek(partition, lowest)

    def _settle(self, partition: TopicPartition, offsets: dict[int, Futures], records: dict[int, Any]) -> bool:
        """Hand out these records; whether that was something.

        Below the position nothing more comes: what is wanted there was aborted or compacted away, or is a marker.
        """
        at, end = self._position(partition), self._consumer.highwater(partition)
        passed = [
            offset for offset in offsets if offset in records or offset < at or (end is not None and offset >= end)
        ]
        for offset in passed:
            _answer(offsets.pop(offset), records.get(offset, Gone(f"there is no record at offset {offset}")))
        return bool(passed)

    def _drop_what_does_not_exist(self, wanted: Wanted) -> None:
        """Answer for partitions that are nowhere; what is known of the topics may be minutes old: ask before that."""
        if not (new := [p for p in wanted if p.partition not in self._consumer.partitions_for_topic(p.topic)]):
            return
        topics = self._consumer.topics()
        for partition in [p for p in new if p.partition not in self._consumer.partitions_for_topic(p.topic)]:
            if partition.topic in topics:
                error: Exception = Gone("there is no such partition")
            else:
                error = Away(f"There is no topic {partition.topic}, or the board may not see it; trying again.")
            _answer_all([wanted.pop(partition)], error)

    def _drop_what_is_outside(self, wanted: Wanted) -> None:
        begins = self._consumer.beginning_offsets(list(wanted), timeout_ms=3_000)
        ends = self._consumer.end_offsets(list(wanted), timeout_ms=3_000)
        for partition, offsets in wanted.items():
            for offset in [o for o in offsets if not begins[partition] <= o < ends[partition]]:
                _answer(offsets.pop(offset), Gone(f"offset {offset} is no longer in the topic"))
            if offsets:
                self._consumer.seek(partition, min(offsets))

    def _position(self, partition: TopicPartition) -> int:
        return self._consumer.position(partition, timeout_ms=1_000) or 0


def _drop_what_is_refused(wanted: Wanted, topics: Collection[str]) -> None:
    for partition, offsets in wanted.items():
        if partition.topic in topics:
            _answer_all([offsets], Away(f"The board may not read the topic {partition.topic}; trying again."))
            offsets.clear()


def _answer_all(wanted: Iterable[dict[int, Futures]], error: Exception) -> None:
    for offsets in wanted:
        for futures in offsets.values():
            _answer(futures, error)


def _answer(futures: Futures, answer: Any) -> None:
    """A record, or why there is none, for everybody who still waits for it."""
    for future in futures:
        if not future.set_running_or_notify_cancel():  # whoever asked has lost patience
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
