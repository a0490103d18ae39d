"""Transactions that their coordinator has forgotten: they hide what lies behind them and, worse, come back to life.

A killed Kafka 4.4 leaves them open in the log (consumer/kafka/README.md, fact 18). Whoever promises exactly once ends
them before writing: the coordinator still knows what it decided.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from typing import Any

from kafka import KafkaProducer, TopicPartition
from kafka.admin import AbortTransactionSpec, ProducerState, TransactionState
from kafka.errors import (
    AuthorizationError,
    ProducerFencedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailedError,
    TransactionalIdNotFoundError,
    UnsupportedVersionError,
)

from producer.base.logs import event

log = logging.getLogger(__name__)

TO_COMMIT = (TransactionState.PREPARE_COMMIT, TransactionState.COMPLETE_COMMIT)
ENDED = (TransactionState.COMPLETE_COMMIT, TransactionState.COMPLETE_ABORT, TransactionState.EMPTY)
"""States in which the coordinator thinks that nothing is open: what is open then, hangs."""
CANNOT_LOOK = (AuthorizationError, UnsupportedVersionError)
"""What a broker answers that does not let us look, or that is too old for it."""
OTHERS = 3.0
"""Seconds for another worker that has initialised the id just now, and knows what was decided, to write its markers."""


@dataclass(frozen=True, slots=True)
class Before:
    """What a transactional id left, as found before it is initialised again.

    Attributes:
        state: of its last transaction, as the coordinator knows it. ``EMPTY``: it was initialised since, and nobody
            knows what was decided.
        open: the partitions in which one is open, with the offset at which it began.
    """

    state: TransactionState = TransactionState.DEAD
    open: dict[TopicPartition, int] = field(default_factory=dict)

    @property
    def is_commit(self) -> bool:
        """Whether the last transaction was to be committed."""
        return self.state in TO_COMMIT


def init_transactions(
    producer: KafkaProducer, admin: Any, transactional_id: str, topics: Sequence[str]
) -> list[TopicPartition]:
    """`producer.init_transactions()`, and the end of what hangs of its predecessors.

    Without the right to look (the ACLs DESCRIBE of the id and READ of the topics) or to end it (CLUSTER_ACTION) a
    warning is all that comes of it.

    Args:
        producer: transactional, not initialised.
        admin: a connected `KafkaAdminClient`.
        transactional_id: the producer's.
        topics: those it writes to; they exist. Offsets come last: without them a label comes again and is known.

    Returns:
        The partitions in which a transaction was ended.

    Raises:
        KafkaError: the broker does not answer, or refuses.
    """
    try:
        before = look(admin, transactional_id, topics)
        if before.open and before.state == TransactionState.EMPTY:
            time.sleep(OTHERS)
            before = look(admin, transactional_id, topics)
    except CANNOT_LOOK as error:
        say_that_it_cannot_look(error)
        before = None
    try:
        producer.init_transactions()
    except TransactionalIdAuthorizationFailedError:  # the broker does not say which
        raise TransactionalIdAuthorizationFailedError(f"transactional id {transactional_id}") from None
    if before is None:
        return []
    try:
        return _end_hanging(admin, transactional_id, topics, before)
    except AuthorizationError as error:
        event(log, logging.WARNING, "may not end transactions that the broker forgot", why=error)
        return []


def look(admin: Any, transactional_id: str, topics: Sequence[str]) -> Before:
    """What a transactional id has open, and what its coordinator decided.

    First the partitions, then the coordinator: what was open before a decision is what was decided.

    Raises:
        KafkaError: the broker does not answer, or refuses.
    """
    try:
        producer_id = admin.describe_transactions([transactional_id])[transactional_id].producer_id
        found = _open_of(admin, producer_id, topics)
        state = admin.describe_transactions([transactional_id])[transactional_id].state
    except TransactionalIdNotFoundError:
        return Before()
    return Before(state, {partition: start for partition, (start, _) in found.items()})


def orphaned_ids(admin: Any, topics: Sequence[str]) -> list[str]:
    """The transactional ids of which a transaction is open in a partition, although their coordinator knows of none.

    Every marker is written before a coordinator calls a transaction complete. So what was open before it said that
    nothing is, and still is afterwards, hangs; a living producer that is between two transactions is no such case.

    Args:
        admin: a connected `KafkaAdminClient`. It shows the transactional ids that may be described, and no others.
        topics: where to look.

    Raises:
        KafkaError: the broker does not answer, or refuses.
    """
    before = _open(admin, topics)
    if not before:
        return []
    listed = chain(*admin.list_transactions().values())
    ended = {each.producer_id: each.transactional_id for each in listed if each.state in ENDED}
    return sorted({ended[producer_id] for _, producer_id, _ in before & _open(admin, topics) if producer_id in ended})


def _end_hanging(admin: Any, transactional_id: str, topics: Sequence[str], before: Before) -> list[TopicPartition]:
    """End what is open although the id was initialised: no transaction of it is open at the coordinator now."""
    producer_id = admin.describe_transactions([transactional_id])[transactional_id].producer_id
    found = _open_of(admin, producer_id, topics)
    for partition in sorted(found, key=lambda each: topics.index(each.topic)):
        start, state = found[partition]
        is_commit = before.is_commit and before.open.get(partition) == start
        _end(admin, partition, state, is_commit)
        event(
            log,
            logging.WARNING,
            "ended a transaction that the broker had forgotten",
            topic=partition.topic,
            partition=partition.partition,
            from_offset=start,
            by="commit" if is_commit else "abort",
        )
    return list(found)


def _open_of(admin: Any, producer_id: int, topics: Sequence[str]) -> dict[TopicPartition, tuple[int, ProducerState]]:
    return {
        partition: (producer.current_transaction_start_offset, producer)
        for partition, producer in _active(admin, topics)
        if producer.producer_id == producer_id
    }


def _open(admin: Any, topics: Sequence[str]) -> set[tuple[TopicPartition, int, int]]:
    """Partition, producer id and first offset of every open transaction."""
    return {
        (partition, producer.producer_id, producer.current_transaction_start_offset)
        for partition, producer in _active(admin, topics)
    }


def _active(admin: Any, topics: Sequence[str]) -> list[tuple[TopicPartition, ProducerState]]:
    """The producers that have a transaction open, partition by partition."""
    described = admin.describe_topics(list(topics))
    for topic in described:
        if topic.get("error_code") == TopicAuthorizationFailedError.errno:  # it has no partitions then
            event(log, logging.WARNING, "may not look for transactions that the broker forgot", topic=topic["name"])
    partitions = [
        TopicPartition(topic["name"], partition["partition_index"])
        for topic in described
        for partition in topic["partitions"]
    ]
    return [
        (partition, producer)
        for partition, state in admin.describe_producers(partitions).items()
        for producer in state.active_producers
        if producer.current_transaction_start_offset >= 0
    ]


def _end(admin: Any, partition: TopicPartition, state: ProducerState, is_commit: bool) -> None:
    # The coordinator's epoch as Kafka's own tool gives it (consumer/kafka/README.md, fact 32).
    spec = AbortTransactionSpec(partition, state.producer_id, state.producer_epoch, max(0, state.coordinator_epoch))
    if is_commit:
        _write_commit_marker(admin, spec)
    else:
        admin.abort_transaction(spec)


def _write_commit_marker(admin: Any, spec: AbortTransactionSpec) -> None:
    """`KafkaAdminClient.abort_transaction` with the other marker (consumer/kafka/README.md, fact 32)."""

    async def write() -> None:
        leader = next(iter(await admin._async_get_leader_for_partitions([spec.topic_partition])))
        request = admin._abort_transaction_request(spec)
        request.markers[0].transaction_result = True
        admin._abort_transaction_process_response(await admin._manager.send(request, node_id=leader), spec)

    admin._manager.run(write)


def say_that_it_cannot_look(error: Exception) -> None:
    """Say why nothing is known of transactions that the broker forgot; of its version only once."""
    if isinstance(error, UnsupportedVersionError):
        _say_that_the_broker_cannot()
    else:
        event(log, logging.WARNING, "may not look for transactions that the broker forgot", why=error)


@cache
def _say_that_the_broker_cannot() -> None:
    event(
        log,
        logging.WARNING,
        "the broker cannot say which transactions it forgot, as Apache Kafka can from 3.0 on: one that hangs hides all "
        "that follows (deploy/BROKERS.md)",
    )


def is_fenced(error: Exception) -> bool:
    """Whether the broker has given the transactional id to another process; kafka-python may wrap that."""
    return any(isinstance(each, ProducerFencedError) for each in (error, *error.args))
