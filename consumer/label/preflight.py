"""What is checked before `label` joins its group: the topics fit together, and no living worker has the same name."""

import logging
import time
from dataclasses import dataclass

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource
from kafka.errors import KafkaError

from consumer.dead_letter import MAX_HEADERS
from consumer.label.settings import LabelSettings
from producer.connect import bootstrap_timeout_ms, connect
from producer.errors import CommandError
from producer.logs import event

log = logging.getLogger(__name__)

LEAST_OUTPUT_LIMIT = 16 * 1024
"""What a labelled post may need, in bytes; one beyond it (a giant post_id) is a dead letter."""


@dataclass(frozen=True, slots=True)
class Topics:
    """What the worker needs to know of its topics.

    Attributes:
        partitions: of the input.
        output_limit: ``max.message.bytes`` of the labelled posts.
        dead_letter_limit: ``max.message.bytes`` of the dead letters.
    """

    partitions: int
    output_limit: int
    dead_letter_limit: int

    @property
    def largest_limit(self) -> int:
        """The larger of the two limits, in bytes."""
        return max(self.output_limit, self.dead_letter_limit)


def check_topics(settings: LabelSettings) -> Topics:
    """Make sure that whatever the input holds fits into the outputs.

    Raises:
        CommandError: one line: no broker, a topic that does not exist, or topics that do not fit together.
    """

    def ask() -> Topics:
        with _admin(settings) as admin:
            return _fit_together(settings, admin)

    return connect(settings, ask)


def check_replica(settings: LabelSettings) -> None:
    """Make sure that no living worker of the group has this one's name.

    A dead one is listed until its session times out, so that long is waited for it to go.

    Raises:
        CommandError: the name is in use.
    """

    def taken(admin: KafkaAdminClient) -> bool:
        group = admin.describe_groups([settings.group_id])[settings.group_id]
        return any(member["client_id"] == settings.member for member in group["members"])

    def ask() -> bool:
        deadline = time.monotonic() + settings.session_timeout + 3
        said = False
        with _admin(settings) as admin:
            while taken(admin):
                if time.monotonic() > deadline:
                    return True
                if not said:
                    event(
                        log, logging.INFO, "a worker of this name is in the group; waiting whether it is dead",
                        replica=settings.replica, group=settings.group_id, seconds=settings.session_timeout,
                    )  # fmt: skip
                    said = True
                time.sleep(0.5)
        return False

    if connect(settings, ask):
        raise CommandError(
            f"a living worker of group {settings.group_id} uses replica {settings.replica}: "
            "give this one another name with --replica"
        )


def _admin(settings: LabelSettings) -> KafkaAdminClient:
    return KafkaAdminClient(
        **settings.kafka(), client_id=f"{settings.member}-admin", bootstrap_timeout_ms=bootstrap_timeout_ms(settings)
    )


def _fit_together(settings: LabelSettings, admin: KafkaAdminClient) -> Topics:
    names = (settings.input_topic, settings.output_topic, settings.dead_letter_topic)
    partitions = {name: _partitions(admin, name) for name in names}
    for name in names[1:]:
        if partitions[name] < partitions[settings.input_topic]:
            raise CommandError(
                f"topic {name} has {partitions[name]} partitions, fewer than the {partitions[settings.input_topic]} of "
                f"{settings.input_topic}: a label goes to the partition number that its post came from; add partitions"
            )
    limits = _limits(admin, names)
    needed = limits[settings.input_topic] + MAX_HEADERS
    if limits[settings.dead_letter_topic] < needed:
        raise CommandError(
            f"topic {settings.dead_letter_topic} takes records of {limits[settings.dead_letter_topic]} bytes, but a "
            f"dead letter of {settings.input_topic} may need {needed}: raise its max.message.bytes"
        )
    if limits[settings.output_topic] < LEAST_OUTPUT_LIMIT:
        raise CommandError(
            f"topic {settings.output_topic} takes records of {limits[settings.output_topic]} bytes, but a labelled "
            f"post may need {LEAST_OUTPUT_LIMIT}: raise its max.message.bytes"
        )
    return Topics(partitions[settings.input_topic], limits[settings.output_topic], limits[settings.dead_letter_topic])


def _partitions(admin: KafkaAdminClient, topic: str) -> int:
    """How many partitions the topic has.

    Raises:
        CommandError: there is no such topic.
        KafkaError: the broker did not answer; ask again.
    """
    (described,) = admin.describe_topics([topic])
    if described["error_code"] in (3, 17):  # unknown, or no valid name
        raise CommandError(
            f"topic {topic} does not exist at this broker; `python -m producer topics` creates the three topics"
        )
    if described["error_code"]:
        raise KafkaError(f"topic {topic}: error {described['error_code']}")
    return len(described["partitions"])


def _limits(admin: KafkaAdminClient, topics: tuple[str, ...]) -> dict[str, int]:
    """``max.message.bytes`` of each topic."""
    described = admin.describe_configs(
        [ConfigResource("TOPIC", topic, configs={"max.message.bytes": None}) for topic in topics], config_filter="all"
    )
    return {topic: int(described["topic"][topic]["max.message.bytes"]["value"]) for topic in topics}
