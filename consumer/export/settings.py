"""The settings of `export`."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import SettingsConfigDict

from producer.base.logs import LogSettings
from producer.base.settings import TopicSettings
from producer.post import parse_time


def _since(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return parse_time(value)
    except ValueError:
        raise ValueError("must be an ISO 8601 time such as 2026-11-24 or 2026-11-24T09:00:00Z") from None


class ExportSettings(TopicSettings, LogSettings):
    """Write the labelled posts that are in no file of the folder yet into files for analysts."""

    model_config = SettingsConfigDict(cli_shortcuts={"folder": "o"})

    folder: Path = Field(description="folder of the files (-o); one holds one export")
    format: Literal["parquet", "jsonl"] = Field("parquet", description="parquet or jsonl")
    since: Annotated[datetime | None, BeforeValidator(_since)] = Field(
        None, description="only labels written from this time on (ISO 8601, UTC by default)"
    )
    offsets_per_file: int = Field(100_000, ge=1, description="a file ends at each multiple of it")
