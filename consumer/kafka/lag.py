"""How far partitions are behind, asked of the broker on a timer: it shows whatever the loop does, or waits for."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from math import nan
from typing import Generic, TypeVar

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from prometheus_client import Gauge

from consumer.kafka.offsets import ROUND_TRIP_MS
from producer.base.logs import event

log = logging.getLogger(__name__)

EVERY = 5.0
"""Seconds between two looks at the broker."""
UNKNOWN_AFTER = 30.0
"""Seconds without an answer after which nothing is known."""


class Partitions:
    """Partitions as they were given out once: where each stands, and where it ends.

    With the next assignment comes another object; what the broker answers too late is written where nobody reads it.
    """

    def __init__(self, positions: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]) -> None:
        """Begin with what is known.

        Args:
            positions: the next offset of each partition.
            ends: where each ends.
        """
        self.positions: dict[TopicPartition, int] = dict(positions)
        self._ends: dict[TopicPartition, int] = {partition: ends[partition] for partition in positions}
        self._answered_at = time.monotonic()
        self._moving = threading.Lock()

    def move(self, positions: Mapping[TopicPartition, int]) -> None:
        """Go on to these offsets, but never back; other partitions than these are passed over."""
        with self._moving:
            for partition in positions.keys() & self.positions.keys():
                self.positions[partition] = max(self.positions[partition], positions[partition])

    def behind(self, partition: TopicPartition) -> int:
        """Records from the position to the end, as last seen."""
        lag: int = self._ends[partition] - self.positions[partition]
        return max(0, lag)

    def lag(self, partition: TopicPartition) -> float:
        """The same, but not a number when the broker has not answered for long: it may be more by now."""
        return nan if self.is_unknown() else self.behind(partition)

    def is_unknown(self) -> bool:
        """Whether the broker has not answered for `UNKNOWN_AFTER`."""
        return time.monotonic() - self._answered_at > UNKNOWN_AFTER

    def learn(self, admin: KafkaAdminClient) -> None:
        """Ask the broker; for the thread of `Behind`.

        Raises:
            KafkaError: it did not answer.
        """
        self._take(self._ask(admin))

    def _ask(self, admin: KafkaAdminClient) -> dict[TopicPartition, int]:
        """Where each partition ends; no open transaction hides anything."""
        asked = dict.fromkeys(self.positions, OffsetSpec.LATEST)
        found = admin.list_partition_offsets(asked, timeout_ms=ROUND_TRIP_MS) if asked else {}
        return {partition: end.offset for partition, end in found.items()}

    def _take(self, ends: Mapping[TopicPartition, int]) -> None:
        self._ends |= ends
        self._answered_at = time.monotonic()


P = TypeVar("P", bound=Partitions)


class Behind(Generic[P]):
    """Keeps the partitions of now up to date, with a client and a thread of its own, and shows them in gauges."""

    def __init__(
        self, admin: KafkaAdminClient, none: P, gauges: Mapping[Gauge, Callable[[P, TopicPartition], float]]
    ) -> None:
        """Begin without partitions.

        Args:
            admin: asks the broker; nobody else uses it.
            none: no partitions.
            gauges: each with the one label `partition`, and what it shows; it is computed when somebody looks.
        """
        self.now = none
        self._admin = admin
        self._gauges = gauges
        self._is_closed = False
        self._due = threading.Event()
        threading.Thread(target=self._watch, name="behind", daemon=True).start()

    def restart(self, now: P) -> None:
        """Other partitions, or the same from elsewhere. The gauges of those that stay are never absent."""
        before, self.now = self.now, now
        for gauge, shown in self._gauges.items():
            for partition in now.positions:
                gauge.labels(str(partition.partition)).set_function(partial(shown, now, partition))
            for partition in before.positions.keys() - now.positions.keys():
                gauge.remove(str(partition.partition))
        self._due.set()

    def close(self) -> None:
        """End the thread; an answer that it waits for fails."""
        self._is_closed = True
        self._due.set()
        self._admin.close()

    def _watch(self) -> None:
        is_said = False
        while not self._is_closed:
            try:
                self.now.learn(self._admin)
                is_said = False
            except Exception as error:  # whatever it is: the next look may succeed
                if self.now.is_unknown() and not is_said:
                    event(log, logging.WARNING, "the broker does not say how far its records go", why=error)
                    is_said = True
            self._due.wait(EVERY)
            self._due.clear()
