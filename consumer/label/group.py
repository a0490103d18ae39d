"""The worker in its consumer group: how its clients are set, and how it learns of a rebalance.

The traps of kafka-python that shape this file are listed in `consumer/kafka/README.md`.
"""

from typing import Any

from kafka import ConsumerRebalanceListener

from consumer.kafka.bounded_consumer import Consumer
from consumer.kafka.offsets import ROUND_TRIP_MS
from consumer.kafka.unpack import LARGEST
from consumer.label.settings import WorkerSettings
from producer.topics import admin_client


class Reassigned(Exception):
    """The group was rebalanced: what was read before must not be published."""


class TooSlow(Reassigned):
    """The same, because a batch took longer than the group waits."""


class Rebalances(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Counts rebalances and does nothing else (consumer/kafka/README.md, fact 3)."""

    def __init__(self) -> None:
        self.count = 0
        self.assigned = False  # the last callback was an assignment (of possibly no partition)

    def on_partitions_revoked(self, revoked: Any) -> None:
        """The group takes partitions away, or has given them to others already."""
        self.assigned = False
        self.count += 1

    def on_partitions_assigned(self, assigned: Any) -> None:
        """The group has given out its partitions."""
        self.count += 1
        self.assigned = True


def build_consumer(settings: WorkerSettings, largest: int = LARGEST) -> Consumer:
    """A consumer of the group; it joins when it subscribes and polls.

    Args:
        settings: of the worker.
        largest: bytes of a record of a compressed batch; a larger one comes without its value.

    Raises:
        KafkaError: the broker does not answer.
    """
    return Consumer(
        settings,
        settings.member,
        largest,
        group_id=settings.group_id,
        session_timeout_ms=int(settings.session_timeout * 1000),
        heartbeat_interval_ms=int(settings.session_timeout * 300),
        max_poll_interval_ms=int(settings.max_poll_interval * 1000),
        max_partition_fetch_bytes=4 * 2**20,
    )


def build_admin(settings: WorkerSettings) -> Any:
    """An admin client that gives up on a question as soon as the worker does.

    Raises:
        CommandError: the broker cannot be reached, or refuses.
    """
    admin = admin_client(settings, client_id=f"{settings.member}-admin", request_timeout_ms=ROUND_TRIP_MS)
    # Else it never forgets one that is dead or was replaced (consumer/kafka/README.md, fact 31).
    admin._manager.cluster.get_coordinator = lambda *_: None
    return admin
