import pytest
from kafka import ConsumerGroupMetadata, OffsetAndMetadata, TopicPartition
from kafka.errors import CommitFailedError, KafkaTimeoutError

from consumer.label.batch import Batch
from consumer.label.pace import LARGE, MOST_FAILURES, MOST_TIMEOUTS, Pace
from consumer.label.settings import LabelSettings
from producer.base.errors import CommandError
from tests.unit.consumer.label.records import record


@pytest.fixture
def pace() -> Pace:
    return Pace(LabelSettings.model_validate({"batch_size": 32, "publish_timeout": 15, "max_poll_interval": 10}))


def batch(size: int, partition: int = 0) -> Batch:
    records = tuple(record(offset, b"", partition=partition) for offset in range(size))
    offsets = {TopicPartition("posts", partition): OffsetAndMetadata(size, "", -1)}
    return Batch(records, offsets, ConsumerGroupMetadata("g", 1, "m"), "size")


def late(pace: Pace, size: int, times: int = 1) -> None:
    for _ in range(times):
        pace.record_failure(batch(size), LARGE + 1, 12, KafkaTimeoutError())


def test_only_the_record_that_was_late_by_itself_goes_without_its_value(pace: Pace) -> None:
    late(pace, size=1, times=MOST_TIMEOUTS)

    assert list(map(pace.is_too_slow, batch(2).records)) == [True, False]


def test_batches_grow_again_only_when_what_was_late_is_through(pace: Pace) -> None:
    late(pace, size=32)
    assert pace.most == 16

    pace.record_commit(batch(16, partition=1), 0.1)
    assert pace.most == 16, "the late one would be in a large batch again"
    pace.record_commit(batch(16), 0.1)
    assert pace.most == 32


def test_what_was_late_and_went_to_another_worker_is_not_waited_for(pace: Pace) -> None:
    late(pace, size=32)
    pace.forget_partitions()

    pace.record_commit(batch(16, partition=1), 0.1)

    assert pace.most == 32


def test_a_broker_that_was_away_was_not_slow(pace: Pace) -> None:
    late(pace, size=1, times=MOST_TIMEOUTS)
    pace.forget_refusals()

    assert not pace.is_too_slow(batch(1).records[0])


def test_a_publish_that_outlasts_the_groups_patience_is_late_too(pace: Pace) -> None:
    pace.record_failure(batch(32), LARGE + 1, 11, CommitFailedError())
    assert pace.most == 16

    for _ in range(MOST_FAILURES - 1):
        pace.record_failure(batch(1), LARGE + 1, 11, CommitFailedError())
    with pytest.raises(CommandError, match="PUBLISH_TIMEOUT"):
        pace.record_failure(batch(1), LARGE + 1, 11, CommitFailedError())
