import pytest
from kafka import TopicPartition
from kafka.errors import UnknownTopicOrPartitionError

from consumer.label import published
from consumer.label.published import Published
from consumer.label.settings import LabelSettings


class Behind:
    """A consumer whose metadata does not know a partition yet: kafka-python 3.0.12 answers so."""

    def end_offsets(self, partitions: list[TopicPartition], timeout_ms: int) -> dict[TopicPartition, int]:
        raise KeyError(partitions[0])


def test_a_partition_that_an_output_has_only_just_got_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "_build", lambda settings: Behind())
    outputs = Published(LabelSettings.model_validate({}))
    with pytest.raises(UnknownTopicOrPartitionError, match=r"labeled-posts.*the input has grown"):
        outputs.beyond({TopicPartition("posts", 7): 0})
