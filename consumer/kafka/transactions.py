"""A producer whose records become visible together, the same for all who promise exactly once.

The facts of kafka-python behind it are in `consumer/kafka/README.md`.
"""

import time
from collections.abc import Sequence
from typing import Any

from kafka import KafkaProducer
from kafka.errors import InvalidTransactionTimeoutError, KafkaConnectionError, KafkaError
from pydantic import Field

from consumer.kafka.orphans import init_transactions
from producer.base.connect import close_at_once
from producer.base.errors import CommandError
from producer.base.settings import KafkaSettings

RECORD_OVERHEAD = 256
"""Bytes that a record batch adds around one record, generously."""
COORDINATOR_PAUSE = 0.05
"""Seconds between two looks for a coordinator: until the cluster has another one, the dead one is the answer."""


class PublishTimes(KafkaSettings):
    """How long a publish may take, and its steps.

    They grow in this order: a request gives up before its record, the record before its transaction, all before the
    watchdog.
    """

    publish_timeout: float = Field(
        15.0, ge=3, le=900, description="seconds after which the broker gives up what is being published"
    )

    @property
    def request_ms(self) -> int:
        """Milliseconds that one request may take."""
        return int(self.publish_timeout * 1000 * 2 / 3)

    @property
    def delivery_ms(self) -> int:
        """Milliseconds that a record may take, however often it is sent."""
        return int(self.publish_timeout * 1000 * 4 / 5)

    @property
    def transaction_ms(self) -> int:
        """Milliseconds after which the broker ends a transaction."""
        return int(self.publish_timeout * 1000)

    @property
    def publish_limit(self) -> float:
        """Seconds after which the watchdog ends the process: commit and abort wait without limit."""
        return 3 * self.publish_timeout


def build_producer(
    settings: PublishTimes, admin: Any, transactional_id: str, topics: Sequence[str], largest: int
) -> KafkaProducer:
    """One that may begin a transaction; what its predecessors left open is ended.

    Args:
        settings: of the broker.
        admin: a connected `KafkaAdminClient`.
        transactional_id: the producer's.
        topics: as for `init_transactions`.
        largest: bytes of the largest record that its topics take.

    Raises:
        KafkaError: the broker does not answer, or refuses.
        CommandError: PUBLISH_TIMEOUT is too long for it.
    """
    producer = KafkaProducer(
        **settings.kafka(),
        allow_auto_create_topics=False,
        client_id=transactional_id,
        transactional_id=transactional_id,
        acks="all",
        max_request_size=largest + RECORD_OVERHEAD,
        request_timeout_ms=settings.request_ms,
        delivery_timeout_ms=settings.delivery_ms,
        transaction_timeout_ms=settings.transaction_ms,
        max_block_ms=settings.request_ms,
        retry_backoff_ms=5,  # with 100 a transaction takes ten times as long (consumer/kafka/README.md, fact 13)
        batch_size=512 * 1024,
        metrics_enabled=False,
    )
    try:
        keep_asking_for_coordinator(producer)
        init_transactions(producer, admin, transactional_id, topics)
    except KafkaError as error:
        close_at_once(producer)
        if InvalidTransactionTimeoutError.__name__ in str(error):  # kafka-python wraps it as text
            raise CommandError(
                f"PUBLISH_TIMEOUT ({settings.publish_timeout:g} s) is longer than the broker's "
                "transaction.max.timeout.ms allows"
            ) from None
        raise
    return producer


def record_size(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> int:
    """Upper bound of a record's size in bytes, as a topic's limit counts it."""
    size = sum(len(name.encode()) + len(content) + 10 for name, content in headers)
    return len(key or b"") + len(value or b"") + size + RECORD_OVERHEAD


def wait_for_all(sent: Sequence[Any], timeout: float) -> None:
    """Wait until every send of a transaction has ended; raise the first failure.

    A commit can return normally although records of its transaction are lost (consumer/kafka/README.md, fact 7). So all
    must have succeeded before offsets and commit.

    Args:
        sent: the futures of `send`.
        timeout: seconds that the last of them may take.

    Raises:
        KafkaError: at least one record has not arrived.
    """
    deadline = time.monotonic() + timeout + 2
    failure: Exception | None = None
    for future in sent:
        try:
            future.get(timeout=max(0.0, deadline - time.monotonic()))
        except KafkaError as error:
            failure = failure or error
    if failure is not None:
        raise failure


def keep_asking_for_coordinator(producer: KafkaProducer) -> None:
    """Let a transactional producer outlive its coordinator.

    When the connection is refused, kafka-python forgets its request (consumer/kafka/README.md, fact 30): its
    `await_ready` raises where `Sender._maybe_send_pending_request` expects False, which it handles well.
    """
    client = producer._sender._client
    await_ready = client.await_ready

    def is_ready(node_id: object, timeout_ms: float) -> bool:
        try:
            return bool(await_ready(node_id, timeout_ms=timeout_ms))
        except KafkaConnectionError:
            time.sleep(COORDINATOR_PAUSE)  # on the producer's own thread
            return False

    client.await_ready = is_ready
