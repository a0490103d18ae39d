"""A moment as a flag gives it: ISO 8601, UTC by default."""

from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator

from producer.post import parse_time


def _moment(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return parse_time(value)
    except ValueError:
        raise ValueError("must be an ISO 8601 time such as 2026-11-24 or 2026-11-24T09:00:00Z") from None


Moment = Annotated[datetime, BeforeValidator(_moment)]
"""Has an offset."""


def milliseconds(moment: datetime) -> int:
    """As a record's timestamp: since 1970."""
    return int(moment.timestamp() * 1000)
