"""The settings of `relabel`."""

from typing import Any, Self

from pydantic import Field, model_validator

from consumer.classify.settings import DecideSettings
from consumer.label.settings import WorkerSettings
from consumer.moment import Moment


def _beside(fields: dict[str, Any]) -> str:
    return f"{fields.get('output_topic')}-dlt"


class RelabelSettings(WorkerSettings, DecideSettings):
    """Label posts again, from their vectors, until SIGTERM or Ctrl-C; each post comes out exactly once."""

    input_topic: str = Field(alias="vectors_topic", min_length=1, description="topic of the posts' vectors")
    output_topic: str = Field(min_length=1, description="topic of the new labels, of no other run; made if missing")
    dead_letter_topic: str = Field(
        default_factory=_beside,
        min_length=1,
        description="likewise of dead letters (default: OUTPUT_TOPIC-dlt)",
    )
    group_id: str = Field(
        "placestream", min_length=1, description="the consumer group's first name; a hash of what is asked for follows"
    )
    since: Moment | None = Field(None, description="only vectors written from this time on (ISO 8601, UTC by default)")
    until: Moment | None = Field(None, description="only vectors written before this time")
    batch_size: int = Field(256, ge=1, le=10_000, description="most posts in a batch")
    breaker_consecutive: int = Field(2_000, ge=1, description="failures in a row, perhaps ours, that end the worker")
    metrics_port: int = Field(9103, ge=0, le=65535, description="port of the metrics; 0 = any free one, printed")

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> Self:
        if self.since and self.until and self.since >= self.until:
            raise ValueError("SINCE must be before UNTIL")
        return self
