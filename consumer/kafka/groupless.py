"""A consumer of a topic outside of any group: its partitions and offsets are given by hand, and it commits nothing."""

from typing import Any

from consumer.kafka.bounded_consumer import Consumer
from consumer.kafka.unpack import LARGEST
from producer.base.connect import bootstrap_timeout_ms
from producer.base.settings import KafkaSettings


def build_consumer(settings: KafkaSettings, client_id: str, **further: Any) -> Consumer:
    """One that sees committed records alone, and raises where offsets are not in the log any more.

    Args:
        settings: of the broker.
        client_id: its name in the broker's metrics and quotas.
        further: more of kafka-python's options.

    Raises:
        KafkaError: the broker does not answer.
    """
    return Consumer(
        LARGEST,
        **settings.kafka(),
        allow_auto_create_topics=False,
        client_id=client_id,
        bootstrap_timeout_ms=bootstrap_timeout_ms(settings),
        isolation_level="read_committed",
        auto_offset_reset="none",  # else expired records go unsaid (consumer/kafka/README.md, fact 9)
        enable_auto_commit=False,
        metrics_enabled=False,
        **further,
    )
