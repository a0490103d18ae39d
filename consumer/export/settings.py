"""The settings of `export`."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from consumer.moment import Moment
from producer.base.logs import LogSettings
from producer.base.settings import TopicSettings


class ExportSettings(TopicSettings, LogSettings):
    """Write the labelled posts that are in no file of the folder yet into files for analysts."""

    model_config = SettingsConfigDict(cli_shortcuts={"folder": "o"})

    folder: Path = Field(description="folder of the files (-o); one holds one export")
    format: Literal["parquet", "jsonl"] = Field("parquet", description="parquet or jsonl")
    since: Moment | None = Field(None, description="only labels written from this time on (ISO 8601, UTC by default)")
    offsets_per_file: int = Field(100_000, ge=1, description="a file ends at each multiple of it")
