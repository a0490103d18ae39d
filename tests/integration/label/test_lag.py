"""Lag as a worker shows it: records, and nothing else of a topic."""

import re
import urllib.request
from contextlib import closing

from kafka import KafkaProducer

from deploy.local.stack import Stack
from tests.conftest import StartCli, Topics, wait_until
from tests.wire import post


def test_markers_and_aborted_records_at_the_end_of_a_transactional_input_are_no_lag(
    stack: Stack, topics: Topics, start_cli: StartCli
) -> None:
    with closing(KafkaProducer(bootstrap_servers=stack.broker.address, transactional_id=topics.input)) as producer:
        producer.init_transactions()
        for end in (producer.commit_transaction, producer.abort_transaction):
            producer.begin_transaction()
            for number in range(10):
                key, value, headers = post(str(number))
                producer.send(topics.input, value, key, headers, partition=number % 2)
            producer.flush()
            end()
    worker = start_cli("tests.light", "--metrics-port", "0", "--stuck-after", "1", env=topics.environment)

    def lags() -> list[float]:
        (address,) = re.findall(r"metrics address=(\S+)", worker.output)
        with urllib.request.urlopen(address, timeout=30) as answer:
            exposed = answer.read().decode()
        return [
            float(lag) for lag in re.findall(r"^placestream_consumer_lag_records\{.*\} (\S+)$", exposed, re.MULTILINE)
        ]

    worker.wait_for_output(" published ")
    wait_until(lambda: lags() == [0, 0], what="no lag")
    assert worker.end() == 0
    assert "resync cause=stuck" not in worker.output
