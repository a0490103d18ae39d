"""How the demonstration reads a topic of a real broker."""

from kafka import KafkaProducer

from deploy.demo import _read
from deploy.local.stack import Stack
from producer.base.settings import TopicSettings
from tests.conftest import Topics


def test_it_reads_what_is_committed_of_every_partition(stack: Stack, topics: Topics) -> None:
    producer = KafkaProducer(bootstrap_servers=stack.broker.address, transactional_id=topics.output)
    producer.init_transactions()
    for committed in (True, False):
        producer.begin_transaction()
        for partition in range(topics.partitions):
            key = f"{partition}, {'committed' if committed else 'aborted'}"
            producer.send(topics.output, key=key.encode(), value=b"x", partition=partition)
        producer.flush()
        producer.commit_transaction() if committed else producer.abort_transaction()
    producer.close()

    settings = TopicSettings.model_validate({"bootstrap_servers": stack.broker.address})
    assert sorted(_read(settings, topics.output)) == [("0, committed", b"x"), ("1, committed", b"x")]
    assert _read(settings, topics.dead_letter) == []
