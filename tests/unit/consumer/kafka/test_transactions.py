from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from kafka.errors import KafkaConnectionError, KafkaTimeoutError, MessageSizeTooLargeError
from kafka.producer.sender import Sender

from consumer.kafka.transactions import keep_asking_for_coordinator, wait_for_all


def test_every_send_is_looked_at_and_the_first_failure_raised() -> None:
    errors = (None, KafkaTimeoutError("expired"), MessageSizeTooLargeError(), None)
    sent = [Mock(**{"get.side_effect": error}) for error in errors]

    with pytest.raises(KafkaTimeoutError, match="expired"):
        wait_for_all(sent, 1)
    assert all(each.get.called for each in sent)
    wait_for_all(sent[:1], 1)


def test_a_commit_whose_coordinator_refuses_the_connection_is_sent_again() -> None:
    commit = SimpleNamespace(request="EndTxn", coordinator_type=1, needs_coordinator=lambda: True)
    transactions = Mock(transactional_id="posts-a")  # what kafka-python's sender asks to send one commit
    transactions.is_completing.return_value = False
    transactions.next_request_handler.return_value = commit
    client = Mock(**{"await_ready.side_effect": KafkaConnectionError("111 ECONNREFUSED")})
    sender = Sender(client, None, SimpleNamespace(has_incomplete=False), transaction_manager=transactions, metrics=None)

    sender._maybe_send_pending_request()
    assert transactions.lookup_coordinator_for_request.call_count == 1
    assert not transactions.retry.called  # the fault of kafka-python: when this fails, the mend may go
    keep_asking_for_coordinator(SimpleNamespace(_sender=sender))
    sender._maybe_send_pending_request()
    assert transactions.lookup_coordinator_for_request.call_count == 2
    transactions.retry.assert_called_once_with(commit)
