"""The settings of `board`."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from consumer.classify.identity import EncoderSettings
from consumer.count.settings import RedisSettings
from consumer.listen import in_url
from producer.base.logs import LogSettings
from producer.base.settings import VectorsTopicSettings
from producer.post import parse_time

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _since(value: object) -> object:
    if not isinstance(value, str):
        return value
    if found := re.fullmatch(r"(\d{1,6})([smhd])", value.strip()):
        return datetime.now(UTC) - timedelta(**{_UNITS[found[2]]: int(found[1])})
    try:
        return parse_time(value)
    except ValueError:
        raise ValueError("must be an ISO 8601 time such as 2026-11-24T09:00:00Z, or 30s, 15m, 2h, 1d") from None


class BoardSettings(VectorsTopicSettings, RedisSettings, EncoderSettings, LogSettings):
    """Show what the stream is seeing now, as pages for a browser, until SIGTERM or Ctrl-C."""

    host: str = Field("127.0.0.1", min_length=1, description="address of the pages")
    port: int = Field(8090, ge=0, le=65535, description="port of the pages; 0 = any free one, printed")
    allowed_hosts: str | None = Field(
        None, description="host names that browsers may use: a,b (default: loopback names, HOST)"
    )
    root_path: str = Field(
        "", pattern=r"^(/[A-Za-z0-9._~-]+)*$", description="path below which a proxy shows the pages: /board"
    )
    since: Annotated[datetime | None, BeforeValidator(_since)] = Field(
        None, description="begin with labels of this time: ISO 8601, or 15m, 2h (default: new ones)"
    )
    captions: bool = Field(False, description="show captions as well")
    keep_posts: int = Field(1_000, ge=1, le=100_000, description="latest posts that are kept")
    keep_bytes: int = Field(
        64 * 2**20, ge=2**20, description="most bytes of their small pictures, and as many of their records"
    )

    search: bool = Field(False, description="search the kept posts by their vectors, from VECTORS_TOPIC")
    export: Path | None = Field(None, description="search this folder of export --vectors-topic instead")
    dataset: Path | None = Field(
        None, description="dataset with pictures of EXPORT's posts; others come from INPUT_TOPIC"
    )

    @model_validator(mode="after")
    def _has_what_it_searches(self) -> Self:
        if self.search and self.vectors_topic is None and self.export is None:
            raise ValueError(
                "SEARCH needs VECTORS_TOPIC, to which the workers write the posts' vectors, or EXPORT, a folder of them"
            )
        if self.dataset and self.export is None:
            raise ValueError("DATASET is for the posts of an EXPORT")
        return self

    @model_validator(mode="after")
    def _knows_its_names(self) -> Self:
        if self.allowed_hosts is None and self.host in ("0.0.0.0", "::"):
            raise ValueError(f"HOST {self.host} needs ALLOWED_HOSTS: the names under which browsers may ask, a,b")
        if any("*" in name for name in self.hosts):
            raise ValueError("ALLOWED_HOSTS takes names, no patterns")
        return self

    @property
    def hosts(self) -> list[str]:
        """What a request's Host header may name: no port, and IPv6 addresses in the brackets that they have there."""
        named = [self.host] if self.allowed_hosts is None else self.allowed_hosts.split(",")
        names = dict.fromkeys([*LOOPBACK, *(name.strip() for name in named if name.strip())])
        return [re.sub(r"(?<=[^:]):\d+$", "", in_url(name)) for name in names]
