from kafka import ConsumerGroupMetadata
from kafka.errors import KafkaTimeoutError

from consumer.label.batch import Batch
from consumer.label.pace import LARGE, MOST_TIMEOUTS, Pace
from consumer.label.settings import LabelSettings
from tests.unit.consumer.label.records import record


def test_only_by_itself_a_record_is_too_slow() -> None:
    pace = Pace(32, LabelSettings.model_validate({}))
    alone, with_another = (
        Batch(tuple(record(offset, b"") for offset in range(size)), {}, ConsumerGroupMetadata("g", 1, "m"), "size")
        for size in (1, 2)
    )
    for _ in range(MOST_TIMEOUTS):
        pace.record_failure(alone, LARGE + 1, 12, KafkaTimeoutError())

    assert pace.is_too_slow(alone)
    assert not pace.is_too_slow(with_another), "the other one has done nothing"
