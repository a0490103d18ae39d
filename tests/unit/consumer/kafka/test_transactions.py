from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from kafka.errors import KafkaConnectionError, KafkaTimeoutError, MessageSizeTooLargeError
from kafka.producer.sender import Sender

from consumer.kafka.transactions import keep_asking_for_coordinator, wait_for_all


def test_every_send_is_looked_at_and_the_first_failure_raised() -> None:
    errors = (None, KafkaTimeoutError("expired"), MessageSizeTooLargeError(), None)
    sent = [Mock(**{"get.side_effect": error}) for error in errors]

    with pytest.raises(KafkaTimeoutError, match="expired"):
        wait_for_all(sent)
    assert all(each.get.called for each in sent)
    wait_for_all(sent[:1])


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
