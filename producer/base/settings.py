"""The edge where flags and environment become settings: the base classes that every role's own settings extend."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from producer.base.errors import UsageError

S = TypeVar("S", bound=BaseSettings)
PREFIX = "PLACESTREAM_"
"""What every variable begins with."""


class Settings(BaseSettings):
    """Every option is a flag (``--input-topic``) and a variable (``PLACESTREAM_INPUT_TOPIC``); flags win."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_prefix_target="all",  # of aliases, too: the bare variables OUTPUT and JSON set nothing
        frozen=True,
        extra="ignore",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_avoid_json=True,
        cli_exit_on_error=False,  # a wrong flag is one line of ours, without argparse's usage
        cli_hide_none_type=True,
        hide_input_in_errors=True,
    )


class KafkaSettings(Settings):
    """Where the broker is and how to talk to it."""

    bootstrap_servers: str = Field("localhost:9092", min_length=1, description="Kafka brokers, host:port[,host:port…]")
    startup_timeout: float = Field(30.0, gt=0, description="seconds to keep trying to connect at the start")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="the listener's: PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        None, description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"
    )
    sasl_username: str | None = Field(None, description="SASL user")
    sasl_password: SecretStr | None = Field(None, description="SASL password; flags show in the process list")
    ssl_cafile: Path | None = Field(None, description="PEM file of the broker's authorities (default: the system's)")
    ssl_certfile: Path | None = Field(None, description="PEM file of this client's certificate")
    ssl_keyfile: Path | None = Field(None, description="PEM file of this client's key")
    ssl_password: SecretStr | None = Field(None, description="password of SSL_KEYFILE")

    @model_validator(mode="after")
    def _security_fits_together(self) -> Self:
        sasl = self.security_protocol.startswith("SASL")
        if sasl and not (self.sasl_mechanism and self.sasl_username and self.sasl_password):
            raise ValueError(
                f"SECURITY_PROTOCOL {self.security_protocol} needs SASL_MECHANISM, SASL_USERNAME and SASL_PASSWORD"
            )
        if not sasl and (self.sasl_mechanism or self.sasl_username or self.sasl_password):
            raise ValueError(f"SASL_* is set, but SECURITY_PROTOCOL is {self.security_protocol}")
        if "SSL" not in self.security_protocol and (self.ssl_cafile or self.ssl_certfile or self.ssl_keyfile):
            raise ValueError(f"SSL_* is set, but SECURITY_PROTOCOL is {self.security_protocol}")
        for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile"):
            path = getattr(self, name)
            if path is not None and not path.is_file():
                raise ValueError(f"{name.upper()} {path} is not a file")
        return self

    def kafka(self) -> dict[str, Any]:
        """The settings as the keyword arguments that every kafka-python client takes, the admin client too.

        Consumers and producers add ``allow_auto_create_topics=False``: a mistyped topic is an error, not a new topic.
        """
        options: dict[str, Any] = {
            "bootstrap_servers": [server.strip() for server in self.bootstrap_servers.split(",")],
            "security_protocol": self.security_protocol,
            # One attempt of a client's constructor: a few of them fit into STARTUP_TIMEOUT.
            "bootstrap_timeout_ms": int(min(self.startup_timeout, 5.0) * 1000),
            # 30 s, the default, is longer than every timeout of a send (consumer/kafka/README.md, fact 28).
            "reconnect_backoff_max_ms": 1000,
        }
        if self.sasl_mechanism and self.sasl_password:
            options["sasl_mechanism"] = self.sasl_mechanism
            options["sasl_plain_username"] = self.sasl_username
            options["sasl_plain_password"] = self.sasl_password.get_secret_value()
        for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile"):
            if path := getattr(self, name):
                options[name] = str(path)
        if self.ssl_password:
            options["ssl_password"] = self.ssl_password.get_secret_value()
        return options


class TopicSettings(KafkaSettings):
    """The names of the topics that every group has."""

    input_topic: str = Field("posts", min_length=1, description="topic of the posts")
    output_topic: str = Field("labeled-posts", min_length=1, description="topic of the labelled posts")
    dead_letter_topic: str = Field("posts-dlt", min_length=1, description="topic of the dead letters")

    @model_validator(mode="after")
    def _topics_differ(self) -> Self:
        topics = {name: topic for name, topic in self if name.endswith("_topic") and topic is not None}
        if len(set(topics.values())) < len(topics):
            *names, last = (name_of(type(self), field) for field in topics)
            raise ValueError(f"{', '.join(names)} and {last} must be different topics")
        return self


class VectorsTopicSettings(TopicSettings):
    """With that of the vectors, where there is one."""

    vectors_topic: str | None = Field(None, min_length=1, description="topic of the posts' vectors (default: none)")


def name_of(settings: type[BaseSettings], field: str) -> str:
    """What a field of theirs is called as a setting: ``INPUT_TOPIC``."""
    return (settings.model_fields[field].alias or field).upper()


def load(cls: type[S], program: str, argv: Sequence[str]) -> S:
    """Read settings from flags and environment.

    Raises:
        UsageError: one line that names each setting that is wrong.
    """
    try:
        return cls(_cli_parse_args=list(argv), _cli_prog_name=program)
    except ValidationError as error:
        raise UsageError("; ".join(_explain(problem) for problem in error.errors())) from None
    except SettingsError as error:
        raise UsageError(f"{str(error).removeprefix('error parsing CLI: ')} (--help shows the options)") from None


def _explain(problem: Any) -> str:
    name = str(problem["loc"][0]).upper() if problem["loc"] else ""
    message = problem["msg"].removeprefix("Value error, ")
    if re.match("(tcp|udp|sctp)://", str(problem["input"])):
        message += "; this looks like an address that Kubernetes gives its pods: set enableServiceLinks: false there"
    return f"setting {name}: {message}" if name else message
