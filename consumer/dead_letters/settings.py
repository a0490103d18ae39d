"""What the sub-commands of `dead-letters` share."""

from pydantic import Field, field_validator

from consumer.dead_letter import REASONS
from producer.base.logs import LogSettings
from producer.base.settings import TopicSettings


class DeadLetterSettings(TopicSettings, LogSettings):
    """Where the dead letters are."""


class ChosenSettings(DeadLetterSettings):
    """Which dead letters are meant."""

    reason: str | None = Field(None, description=f"only this reason: {', '.join(REASONS)}")

    @field_validator("reason")
    @classmethod
    def _reason_is_known(cls, reason: str | None) -> str | None:
        if reason is not None and reason not in REASONS:
            raise ValueError(f"there is no reason {reason!r}; there are {', '.join(REASONS)}")
        return reason
