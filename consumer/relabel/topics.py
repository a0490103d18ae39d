"""The topics of a run: created where they are missing, and refused where they hold what another run has written."""

import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError

from consumer.classify.factory import HeadOf
from consumer.kafka.bounded_consumer import build_consumer
from consumer.kafka.offsets import ROUND_TRIP_MS, topic_id_of
from consumer.kafka.read_to_end import read_range
from consumer.label.published import LABELS_BACK, origin_of
from consumer.origin import Origin
from consumer.relabel.settings import RelabelSettings
from producer.base.errors import CommandError
from producer.base.logs import event
from producer.topics import LABEL_LIMIT, CreateSettings, admin_client, create_topics, describe

log = logging.getLogger(__name__)


def create_missing(settings: RelabelSettings) -> None:
    """Create the outputs that are missing, as `producer topics` would, with the vectors topic's partitions and copies.

    Raises:
        CommandError: no broker, or it refuses.
    """
    names = [settings.input_topic, settings.output_topic, settings.dead_letter_topic]
    with admin_client(settings) as admin:
        found = describe(admin, names)
    vectors = found.get(settings.input_topic)
    if vectors is None or len(found) == len(names):
        return  # what else is wrong, `check_topics` says
    wanted = CreateSettings.model_validate(
        settings.model_dump(include=set(CreateSettings.model_fields) - {"vectors_topic"})
        | {
            "vectors_topic": None,
            "partitions": vectors.partitions,
            "replication_factor": vectors.replication_factor,
            "max_request_size": vectors.max_record_bytes or LABEL_LIMIT,
        }
    )
    for line in create_topics(wanted):
        if ": created" in line:
            event(log, logging.INFO, "topic created", topic=line)


def group_of(settings: RelabelSettings, head: HeadOf) -> str:
    """The consumer group: another one for whatever else is asked for, and for an output that was created anew.

    Raises:
        CommandError: the broker does not answer.
    """
    with admin_client(settings) as admin:
        try:
            output_id = topic_id_of(admin, settings.output_topic)
        except KafkaError as error:
            raise CommandError(f"topic {settings.output_topic} cannot be looked at: {error}") from None
    asked = [settings.input_topic, settings.output_topic, output_id, head.identity, head.places_stamp]
    asked += map(repr, (head.head.decision, head.head.groups, settings.since, settings.until))
    return f"{settings.group_id}-relabel-{hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:8]}"


def check_owner(settings: RelabelSettings) -> None:
    """Make sure that an output is empty, or was begun by this group: nobody wants two runs' labels in one topic.

    Raises:
        CommandError: one line: it holds what others have written, or the broker does not answer.
    """
    with closing(build_consumer(settings, f"{settings.member}-owner")) as consumer:
        for topic in (settings.output_topic, settings.dead_letter_topic):
            try:
                origins = [origin_of(record) for record in _last_records(consumer, topic)]
            except KafkaError as error:
                raise CommandError(f"the end of topic {topic} cannot be read: {error}") from None
            for origin in origins:
                if origin is None or (origin.group_id, origin.topic) != (settings.group_id, settings.input_topic):
                    raise CommandError(
                        f"topic {topic} holds what {_who(origin)} has written, not this run (group "
                        f"{settings.group_id}): give it another one with "
                        f"{'--output-topic' if topic == settings.output_topic else '--dead-letter-topic'}, or delete it"
                    )


def _who(origin: Origin | None) -> str:
    return f"group {origin.group_id}" if origin else "another program"


def _last_records(consumer: Any, topic: str) -> Iterator[Any]:
    """The last committed record of each partition that has one."""
    left = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
    begins = consumer.beginning_offsets(left, timeout_ms=ROUND_TRIP_MS)
    ends = consumer.end_offsets(left, timeout_ms=ROUND_TRIP_MS)
    for distance in (*LABELS_BACK, max(ends.values(), default=0)):
        starts = {each: max(begins[each], ends[each] - distance) for each in left if begins[each] < ends[each]}
        last: dict[TopicPartition, Any] = {}
        for polled, _ in read_range(consumer, starts, ends):
            last |= {partition: records[-1] for partition, records in polled.items() if records}
        yield from last.values()
        left = [each for each in starts if each not in last and starts[each] > begins[each]]
