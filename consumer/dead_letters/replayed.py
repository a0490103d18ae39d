"""What lies in the dead-letter topic, and what of it was replayed: read by `list` and `show`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kafka.errors import KafkaError

from consumer.dead_letters import receipts
from consumer.dead_letters.letter import CLIENT_ID
from consumer.dead_letters.settings import DeadLetterSettings
from consumer.kafka.offsets import topic_id_of
from consumer.kafka.read_to_end import read_whole
from producer.base.errors import CommandError
from producer.topics import admin_client, describe


@contextmanager
def dead_letters(settings: DeadLetterSettings) -> Iterator[tuple[Iterator[Any], set[tuple[int, int]]]]:
    """Every record of the dead-letter topic, and partition and offset of those that were replayed.

    Raises:
        CommandError: no broker, or no such topic.
    """
    topic, replayed_topic = settings.dead_letter_topic, receipts.topic_of(settings)
    with admin_client(settings) as admin:
        found = describe(admin, [topic, replayed_topic])
        if topic not in found:
            raise CommandError(
                f"topic {topic} does not exist at {settings.bootstrap_servers}; `python -m producer topics` creates it"
            )
        try:
            known = receipts.read(settings, admin, topic_id_of(admin, topic)) if replayed_topic in found else set()
            yield read_whole(settings, CLIENT_ID, admin, topic, "reading dead letters"), known
        except KafkaError as error:
            raise CommandError(f"the broker was lost: {error}") from None
