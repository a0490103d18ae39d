"""The settings of `export`."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from consumer.moment import Moment
from producer.base.logs import LogSettings
from producer.base.settings import TopicSettings


class ExportSettings(TopicSettings, LogSettings):
    """Write the labelled posts that are in no file of the folder yet into files for analysts.

    With --vectors-topic it is the posts' vectors, as Parquet.
    """

    model_config = SettingsConfigDict(cli_shortcuts={"folder": "o"})

    folder: Path = Field(description="folder of the files (-o); one holds one export")
    format: Literal["parquet", "jsonl"] = Field("parquet", description="parquet or jsonl")
    # No shell can set a variable of this name: PLACESTREAM_VECTORS_TOPIC, set for the workers,
    # must not make an export of labels one of vectors.
    vectors_topic: str | None = Field(
        None, alias="vectors-topic", min_length=1, description="export the vectors in this topic (a flag only)"
    )
    since: Moment | None = Field(None, description="only records written from this time on (ISO 8601, UTC by default)")
    offsets_per_file: int = Field(100_000, ge=1, description="a file ends at each multiple of it")

    @property
    def contents(self) -> Literal["labels", "vectors"]:
        """What is exported."""
        return "vectors" if self.vectors_topic else "labels"

    @property
    def topic(self) -> str:
        """What is exported from."""
        return self.vectors_topic or self.output_topic

    @model_validator(mode="after")
    def _vectors_are_parquet(self) -> Self:
        if self.vectors_topic and self.format != "parquet":
            raise ValueError(f"--format {self.format}: vectors are written as parquet only")
        return self
