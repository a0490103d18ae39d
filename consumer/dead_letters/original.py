"""The original of a dead letter that is not whole, fetched from where it died, as long as it lies there."""

from typing import Any

from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import OffsetOutOfRangeError, TopicAuthorizationFailedError

from consumer.dead_letter import left_out_of, short_key
from consumer.dead_letters.letter import Letter
from consumer.kafka.bounded_consumer import build_consumer
from consumer.kafka.offsets import is_same_topic, topic_id_of
from consumer.kafka.read_to_end import read_range
from producer.base.settings import TopicSettings


class NotThere(Exception):
    """The original cannot be had; the text says why."""


class Originals:
    """Records of the input topic. It connects when the first is asked for."""

    def __init__(self, settings: TopicSettings, admin: KafkaAdminClient) -> None:
        """Ask for the topic's id.

        Raises:
            KafkaError: the broker does not answer.
        """
        self._settings = settings
        self._topic_id = topic_id_of(admin, settings.input_topic)
        self._consumer: Any = None

    def fetch(self, letter: Letter) -> Any:
        """The record, as kafka-python's consumer returns it.

        Raises:
            NotThere: it is gone, or cannot be read whole now either.
            CommandError: the broker cannot be reached, or nothing comes for a minute.
            KafkaError: it was lost.
        """
        if letter.source is None or (letter.source_topic_id is None and self._topic_id):
            raise NotThere("not the whole post, and it does not say where that is")
        source = letter.source
        is_of_it = is_same_topic(letter.source_topic_id or "", self._topic_id)
        if source.topic != self._settings.input_topic or not is_of_it:
            raise NotThere(f"not the whole post, and the topic {source.topic} that had it was deleted")
        record = self._at(TopicPartition(source.topic, source.partition), source.offset)
        if record is None or short_key(record.key) != letter.key:
            raise NotThere(f"not the whole post, which is no longer in {source.topic}")
        if left_out := left_out_of(record):
            raise NotThere(f"not the whole post, which cannot be read now either ({left_out.reason})")
        return record

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._consumer is not None:
            self._consumer.close(timeout_ms=1_000)

    def _at(self, partition: TopicPartition, offset: int) -> Any:
        """The record at this offset; None: there is none."""
        if self._consumer is None:
            self._consumer = build_consumer(self._settings, "placestream-dead-letters-originals")
        try:
            for polled, _ in read_range(self._consumer, {partition: offset}, {partition: offset + 1}, most=1):
                for record in polled.get(partition, ()):
                    return record
        except OffsetOutOfRangeError:
            pass
        except TopicAuthorizationFailedError:
            raise NotThere(f"not the whole post, and READ of {partition.topic} is not allowed") from None
        return None
