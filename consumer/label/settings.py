"""The settings of `label`, and of every worker."""

import socket
from typing import Self

from pydantic import Field, model_validator

from consumer.classify.classifier import EncodeCaptions
from consumer.classify.settings import ClassifySettings
from consumer.health import MetricsSettings
from consumer.kafka.transactions import PublishTimes
from producer.base.logs import LogSettings
from producer.base.settings import Settings, TopicSettings, VectorsTopicSettings


class BatchSettings(Settings):
    """When a batch is closed: of workers, and of what the benchmark measures."""

    batch_size: int = Field(32, ge=1, le=10_000, description="most posts in a batch")
    batch_deadline: float = Field(0.2, ge=0, le=60, description="seconds a batch waits for more posts after its first")


class WorkerSettings(PublishTimes, TopicSettings, BatchSettings, MetricsSettings, LogSettings):
    """What every worker has."""

    group_id: str = Field("placestream", min_length=1, description="consumer group of the workers")
    replica: str = Field(
        default_factory=socket.gethostname,  # one worker per host needs no other
        min_length=1,
        description="this worker's name, kept over restarts, unique in its group (default: the host's)",
    )
    stop_at_end: bool = Field(False, description="end at the offsets that the input had at the start")
    drain_timeout: float = Field(20.0, ge=0, description="seconds a stop may take to publish what is in flight")
    session_timeout: float = Field(10.0, ge=1, description="seconds until a dead worker's partitions move")
    max_poll_interval: float = Field(300.0, ge=1, description="seconds a batch may take until its partitions move")
    stuck_after: float = Field(
        60.0, gt=0, description="seconds a partition with lag may give nothing until the worker rejoins"
    )
    breaker_consecutive: int = Field(200, ge=1, description="failures in a row, perhaps ours, that end the worker")
    breaker_ratio: float = Field(
        0.5, gt=0, le=1, description="share of the last 1,000 posts, failed likewise, that ends the worker"
    )

    @property
    def member(self) -> str:
        """Client id and transactional id; stable, so that a restart ends what its predecessor left open."""
        return f"{self.group_id}-{self.replica}"

    @property
    def vectors_output(self) -> str | None:
        """Topic of the vectors that are published beside labels; None: none are."""
        return None

    @model_validator(mode="after")
    def _breaker_is_larger_than_a_batch(self) -> Self:
        if self.breaker_consecutive <= self.batch_size:
            raise ValueError(
                f"BREAKER_CONSECUTIVE ({self.breaker_consecutive}) must be larger than BATCH_SIZE ({self.batch_size}): "
                "one batch of bad posts must not end the worker"
            )
        return self


class LabelSettings(WorkerSettings, VectorsTopicSettings, ClassifySettings):
    """Label the posts of the input topic until SIGTERM or Ctrl-C; each post comes out exactly once."""

    encode_captions: EncodeCaptions = Field(
        "needed", description="which captions are encoded: needed by the decision, or all, for later decisions"
    )
    metrics_port: int = Field(9101, ge=0, le=65535, description="port of the metrics; 0 = any free one, printed")
    decode_threads: int = Field(2, ge=1, le=64, description="decoder processes")

    @property
    def vectors_output(self) -> str | None:
        """As VECTORS_TOPIC says."""
        return self.vectors_topic
