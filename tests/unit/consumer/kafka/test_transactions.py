from types import SimpleNamespace
from typing import Any

import pytest
from kafka.errors import KafkaConnectionError, KafkaTimeoutError, MessageSizeTooLargeError
from kafka.producer.sender import Sender

from consumer.kafka.transactions import keep_asking_for_coordinator, wait_for_all


def test_every_send_is_looked_at_and_the_first_failure_raised() -> None:
    looked_at: list[int] = []

    class Sent:
        def __init__(self, number: int, error: Exception | None = None) -> None:
            self._number, self._error = number, error

        def get(self, timeout: float) -> None:
            looked_at.append(self._number)
            if self._error:
                raise self._error

    with pytest.raises(KafkaTimeoutError, match="expired"):
        wait_for_all([Sent(1), Sent(2, KafkaTimeoutError("expired")), Sent(3, MessageSizeTooLargeError()), Sent(4)])
    assert looked_at == [1, 2, 3, 4]
    wait_for_all([Sent(5)])


def test_a_commit_whose_coordinator_refuses_the_connection_is_sent_again() -> None:
    asked: list[str] = []

    class Transactions:
        """As much of kafka-python's TransactionManager as its sender uses to send one commit."""

        transactional_id = "posts-a"

        def is_completing(self) -> bool:
            return False

        def next_request_handler(self, has_incomplete: bool) -> Any:
            return commit

        def coordinator(self, kind: Any) -> str:
            return "coordinator-2"

        def lookup_coordinator_for_request(self, handler: Any) -> None:
            asked.append("who coordinates")

        def retry(self, handler: Any) -> None:
            assert handler is commit
            asked.append("again")

    def refused(node: str, timeout_ms: float) -> bool:
        raise KafkaConnectionError("111 ECONNREFUSED")

    commit = SimpleNamespace(request="EndTxn", coordinator_type=1, needs_coordinator=lambda: True)
    client = SimpleNamespace(await_ready=refused, cluster=None)
    accumulator = SimpleNamespace(has_incomplete=False)
    sender = Sender(client, None, accumulator, transaction_manager=Transactions(), metrics=None)
    producer = SimpleNamespace(_sender=sender)

    sender._maybe_send_pending_request()
    assert asked == ["who coordinates"]  # the fault of kafka-python: when this fails, the mend may go
    asked.clear()
    keep_asking_for_coordinator(producer)
    sender._maybe_send_pending_request()
    assert asked == ["who coordinates", "again"]
