"""A consumer of a topic outside of any group: its partitions and offsets are given by hand, and it commits nothing."""

from typing import Any

from consumer.kafka.bounded_consumer import Consumer
from consumer.kafka.unpack import LARGEST
from producer.base.connect import connect
from producer.base.settings import KafkaSettings


def build_consumer(settings: KafkaSettings, client_id: str, **further: Any) -> Consumer:
    """One that sees committed records alone, and raises where offsets are not in the log any more; connected.

    Args:
        settings: of the broker.
        client_id: its name in the broker's metrics and quotas.
        further: more of kafka-python's options.

    Raises:
        CommandError: the broker cannot be reached, or refuses.
    """
    return connect(
        settings,
        lambda: Consumer(
            LARGEST,
            **settings.kafka(),
            allow_auto_create_topics=False,
            client_id=client_id,
            isolation_level="read_committed",
            auto_offset_reset="none",  # else expired records go unsaid (consumer/kafka/README.md, fact 9)
            enable_auto_commit=False,
            metrics_enabled=False,
            **further,
        ),
    )
