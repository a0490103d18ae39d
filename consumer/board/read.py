"""The stage that follows a topic: read_committed, without a group, going on whatever happens."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from kafka import TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import (
    AuthorizationError,
    KafkaError,
    OffsetOutOfRangeError,
    UnknownTopicOrPartitionError,
)

from consumer.board.settings import BoardSettings
from consumer.kafka.bounded_consumer import build_consumer
from consumer.kafka.offsets import look_up
from producer.base.logs import event
from producer.topics import admin_client

log = logging.getLogger(__name__)

POLL_MS = 250
CHUNK = 500
"""Most records of a poll."""
LOOK_EVERY = 2.0
"""Seconds without a record after which the broker is asked whether it is there: a poll does not say."""
LOOK_AT_LEAST = 30.0
"""Seconds between two looks at the topic in any case: it may have grown partitions."""
ANSWER_MS = 3_000
REQUEST_MS = 5_000
"""How long a request may take, in milliseconds: short, so that a lost broker is reported soon."""


class Reader:
    """Follows every partition of a topic."""

    def __init__(
        self,
        settings: BoardSettings,
        topic: str,
        name: str,
        take: Callable[[Any], None],
        say: Callable[[str | None], None],
    ) -> None:
        """Connect; that the topic does not exist is no error, it may still come.

        Args:
            settings: where the broker is, and since when records are wanted.
            topic: what is read.
            name: tells its clients from others in the broker's metrics and quotas.
            take: given each record, as kafka-python returned it.
            say: told what is wrong, as a sentence; None: nothing is.

        Raises:
            CommandError: the broker cannot be reached, or refuses who we are.
        """
        self._settings = settings
        self._topic = topic
        self._take, self._say = take, say
        self._consumer = build_consumer(settings, f"placestream-board-{name}", request_timeout_ms=REQUEST_MS)
        self._admin = admin_client(settings, client_id=f"placestream-board-{name}-admin", request_timeout_ms=ANSWER_MS)
        self._known: dict[TopicPartition, int] = {}  # where each partition was begun
        self._topic_id: str | None = None
        self._is_first_look = True
        self._looked_at = self._heard_at = 0.0

    def run(self, stop: threading.Event) -> None:
        """Read until `stop` is set; whatever fails is said and tried again."""
        pause, said = 0.2, ""
        while not stop.is_set():
            try:
                self._turn()
                pause, said = 0.2, ""
            except OffsetOutOfRangeError as error:  # expired, or the topic was recreated: go on with what there is
                for partition in error.args[0]:  # and only there: the others would show their old posts again
                    self._known.pop(partition, None)
                self._looked_at = 0.0
            except Exception as error:  # the thread may not end: nobody would read another record
                why = self._explain(error)
                self._say(why)
                if why != said:
                    event(log, logging.WARNING, "cannot read", topic=self._topic, why=error)
                said, self._looked_at = why, 0.0
                stop.wait(pause)
                pause = min(pause * 2, 2.0)

    def close(self) -> None:
        """Close the clients."""
        self._consumer.close(timeout_ms=1_000)
        self._admin.close()

    def _turn(self) -> None:
        now = time.monotonic()
        since = now - self._looked_at
        is_due = since > LOOK_AT_LEAST or (since > LOOK_EVERY and now - self._heard_at > LOOK_EVERY)
        if is_due:
            self._look()
            self._looked_at = time.monotonic()
        polled = self._consumer.poll(timeout_ms=POLL_MS, max_records=CHUNK)
        if is_due:  # who may look may not read for that: only the poll says
            self._say(None)
        for records in polled.values():
            self._heard_at = time.monotonic()
            for record in records:
                self._take(record)

    def _look(self) -> None:
        """Make sure that the broker answers, and that every partition of the topic as it is now is read."""
        topic_id, found = look_up(self._admin, self._topic)
        if topic_id != self._topic_id:
            self._known = {}
        new = [partition for partition in found if partition not in self._known]
        if new:
            begins = self._begins(new)
            going_on = {partition: self._consumer.position(partition) for partition in self._known}
            self._consumer.assign(found)
            for partition, offset in (going_on | begins).items():
                self._consumer.seek(partition, offset)
            self._known |= begins
        self._topic_id, self._is_first_look = topic_id, False

    def _begins(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        """At the first look where SINCE says or the end; what came into being later is read from its beginning."""
        if not self._is_first_look:
            return self._offsets(partitions, OffsetSpec.EARLIEST)
        ends = self._offsets(partitions, OffsetSpec.LATEST)
        if self._settings.since is None:
            return ends
        found = self._offsets(partitions, max(0, int(self._settings.since.timestamp() * 1000)))
        return {partition: offset if offset >= 0 else ends[partition] for partition, offset in found.items()}

    def _offsets(self, partitions: list[TopicPartition], when: Any) -> dict[TopicPartition, int]:
        found = self._admin.list_partition_offsets(dict.fromkeys(partitions, when), timeout_ms=ANSWER_MS)
        return {partition: each.offset for partition, each in found.items()}

    def _explain(self, error: Exception) -> str:
        if isinstance(error, UnknownTopicOrPartitionError):
            return f"The topic {self._topic} does not exist yet; “python -m producer topics” creates it."
        if isinstance(error, AuthorizationError):
            return f"The board may not read the topic {self._topic}: it needs READ. The board keeps trying."
        if isinstance(error, KafkaError | OSError):
            return f"The broker at {self._settings.bootstrap_servers} does not answer. The board keeps trying."
        return f"The topic {self._topic} cannot be read: {type(error).__name__}. The board keeps trying."
