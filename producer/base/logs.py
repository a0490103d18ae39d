"""How every role logs: one line per event, ``key=value`` or JSON, to stderr."""

import json
import logging
import time
import warnings
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr

from producer.base.settings import Settings


class LogSettings(Settings):
    """How to log."""

    log_format: Literal["text", "json"] = Field("text", description="log lines as key=value text or as JSON")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level that is logged")


def setup(settings: LogSettings) -> None:
    """Send the log to stderr; kafka-python's own log only at level debug: what matters of it is said by ours.

    Pillow warns of each oddity of a stranger's picture; nothing is to be done about it.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")
    handler = logging.StreamHandler()
    handler.setFormatter(_Masked(_Json() if settings.log_format == "json" else _Text(), settings))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    if settings.log_level != "debug":
        logging.getLogger("kafka").setLevel(logging.CRITICAL)
        for noisy in ("httpx", "huggingface_hub", "PIL", "transformers"):
            logging.getLogger(noisy).setLevel(logging.ERROR)


def event(log: logging.Logger, level: int, message: str, **fields: Any) -> None:
    """Log one event with its fields, e.g. ``event(log, logging.INFO, "published", posts=32)``."""
    log.log(level, message, extra={"fields": fields})


class _Masked(logging.Formatter):
    """Hides the settings' secrets in every line; at level debug they would show (consumer/kafka/README.md, fact 35)."""

    def __init__(self, inner: logging.Formatter, settings: LogSettings) -> None:
        super().__init__()
        self._inner = inner
        secrets = [value.get_secret_value() for _, value in settings if isinstance(value, SecretStr)]
        secrets += [unquote(password) for secret in secrets if (password := _password_of(secret))]
        written = {form for secret in secrets for form in (secret, repr(secret)[1:-1], repr(secret.encode())[2:-1])}
        written |= {json.dumps(form, ensure_ascii=False)[1:-1] for form in written}
        self._written = sorted(written - {""}, key=len, reverse=True)  # an address before the password in it

    def format(self, record: logging.LogRecord) -> str:
        line = self._inner.format(record)
        for secret in self._written:
            line = line.replace(secret, "**********")
        return line


def _password_of(secret: str) -> str | None:
    """The password in an address such as REDIS_URL."""
    try:
        return urlsplit(secret).password
    except ValueError:
        return None


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%H:%M:%S", time.localtime(record.created))
        fields = " ".join(f"{name}={_text(value)}" for name, value in getattr(record, "fields", {}).items())
        return f"{moment} {record.levelname:<7} {' '.join(filter(None, (record.getMessage(), fields)))}"


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        line = {"time": moment, "level": record.levelname.lower(), "message": record.getMessage()}
        return json.dumps(line | getattr(record, "fields", {}), default=str, ensure_ascii=False)


def _text(value: Any) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(c.isspace() or c == '"' for c in text) else text
