"""The record that an output was made of, and the group that made it, as the output's headers name them."""

from dataclasses import dataclass
from typing import Any

GROUPS = "/placestream/"

SOURCE_TOPIC_ID = "placestream-source-topic-id"
"""Header of an output: the id of the topic that it was made of; a topic recreated under the same name has another."""


@dataclass(frozen=True, slots=True)
class Origin:
    """``/placestream/<group>/<topic>/<partition>/<offset>``; a group may have slashes in its name, a topic cannot."""

    group_id: str
    topic: str
    partition: int
    offset: int

    @classmethod
    def of(cls, group_id: str, record: Any) -> "Origin":
        """The origin of what a group makes of a record, or of whatever else has its topic, partition and offset."""
        return cls(group_id, record.topic, record.partition, record.offset)

    @classmethod
    def parse(cls, text: str) -> "Origin | None":
        """Read it; None: it is none."""
        before, *place = text.rsplit("/", 3)
        if len(place) != 3 or not before.startswith(GROUPS):
            return None
        partition, offset = parse_number(place[1]), parse_number(place[2])
        if partition is None or offset is None:
            return None
        return cls(before.removeprefix(GROUPS), place[0], partition, offset)

    def __str__(self) -> str:
        return f"{self.group}/{self.coordinates}"

    @property
    def group(self) -> str:
        """``/placestream/<group>``."""
        return f"{GROUPS}{self.group_id}"

    @property
    def coordinates(self) -> str:
        """``<topic>/<partition>/<offset>``."""
        return f"{self.topic}/{self.partition}/{self.offset}"


def parse_number(text: str | None) -> int | None:
    """A partition or offset; None when it is none."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 20 else None
