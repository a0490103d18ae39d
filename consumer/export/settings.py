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

    folder: Path = Field(description="where the files go (-o); created when missing; one folder holds one export")
    format: Literal["parquet", "jsonl"] = Field("parquet", description="kind of the files")
    since: Annotated[datetime | None, BeforeValidator(_since)] = Field(
        None, description="only labels that were written at this time or later (ISO 8601; without an offset UTC)"
    )
    offsets_per_file: int = Field(100_000, ge=1, description="a file ends at every multiple of so many offsets")
