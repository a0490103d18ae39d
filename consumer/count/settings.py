"""The settings of the counters: where Redis is, whose topic is counted."""

from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

import redis
from pydantic import AfterValidator, Field, SecretStr, model_validator
from redis.backoff import NoBackoff
from redis.retry import Retry

from consumer.health import MetricsSettings
from producer.base.logs import LogSettings
from producer.base.settings import Settings, TopicSettings


def _check_url(url: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(url.get_secret_value())
        good = parts.scheme in ("redis", "rediss") and bool(parts.hostname) and parts.port != 0
        redis.ConnectionPool.from_url(url.get_secret_value()).make_connection()  # reads the options; does not connect
    except (ValueError, TypeError):
        good = False
    if not good:
        raise ValueError(
            "must look like redis://[user:password@]host:port/0 (or rediss:// for TLS); a node of a cluster will do, "
            "Unix sockets and Sentinel are not supported"
        )
    return url


class RedisSettings(Settings):
    """Where the counters are."""

    redis_url: Annotated[SecretStr, AfterValidator(_check_url)] = Field(
        SecretStr("redis://localhost:6379/0"), description="redis://host:port/0; with TLS rediss://"
    )
    redis_ssl_cafile: Path | None = Field(None, description="PEM file of Redis' authorities (default: the system's)")
    counter_prefix: str = Field(
        "{placestream}", min_length=1, description="beginning of every key; a cluster needs the hash tag"
    )

    @model_validator(mode="after")
    def _cafile_fits(self) -> Self:
        if self.redis_ssl_cafile is not None:
            if urlsplit(self.redis_url.get_secret_value()).scheme != "rediss":
                raise ValueError("REDIS_SSL_CAFILE is set, but REDIS_URL does not begin with rediss://")
            if not self.redis_ssl_cafile.is_file():
                raise ValueError(f"REDIS_SSL_CAFILE {self.redis_ssl_cafile} is not a file")
        return self

    @property
    def redis_address(self) -> str:
        """Host and port without user and password, for messages."""
        parts = urlsplit(self.redis_url.get_secret_value())
        return f"{parts.hostname}:{parts.port or 6379}"

    def redis_client(self, kind: type[Any] = redis.Redis) -> redis.Redis:
        """A client that decodes to text and never retries by itself: a script may not run twice unseen.

        Args:
            kind: also `RedisCluster`, which can do all that we ask of it.
        """
        tls: dict[str, Any] = {"ssl_ca_certs": str(self.redis_ssl_cafile)} if self.redis_ssl_cafile else {}
        client: redis.Redis = kind.from_url(
            self.redis_url.get_secret_value(),
            decode_responses=True,
            socket_timeout=10,
            socket_connect_timeout=5,
            retry=Retry(NoBackoff(), 0),
            **tls,
        )
        return client


class CounterSettings(TopicSettings, RedisSettings, LogSettings):
    """The labelled topic and its counters."""

    cities_file: Path | None = Field(None, description="CSV city,zone (default: InstaCities' ten)")


class CountSettings(CounterSettings, MetricsSettings):
    """Count the labelled posts into Redis until SIGTERM or Ctrl-C; each exactly once, whatever crashes."""

    stop_at_end: bool = Field(False, description="end at the offsets that the topic had at the start")
    metrics_port: int = Field(9102, ge=0, le=65535, description="port of the metrics; 0 = any free one, printed")
