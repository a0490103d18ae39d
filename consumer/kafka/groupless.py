"""A consumer of a topic outside of any group: its partitions and offsets are given by hand, and it commits nothing."""

from typing import Any

from consumer.kafka.bounded_consumer import Consumer
from producer.base.connect import connect
from producer.base.settings import KafkaSettings


def build_consumer(settings: KafkaSettings, client_id: str, **further: Any) -> Consumer:
    """One that raises where offsets are not in the log any more; connected.

    Args:
        settings: of the broker.
        client_id: its name in the broker's metrics and quotas.
        further: more of kafka-python's options.

    Raises:
        CommandError: the broker cannot be reached, or refuses.
    """
    return connect(settings, lambda: Consumer(settings, client_id, **further))
