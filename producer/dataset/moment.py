"""When a post was made, as tables have it: ISO 8601, as spreadsheets show it, or a number since 1970."""

import math
import re
from datetime import UTC, date, datetime, timedelta

from producer.dataset.entry import Wrong
from producer.post import parse_time

FORM = "write it as 2017-06-06T20:54:00Z"

NUMBER = re.compile(r"(\d{9,})(?:[.,](\d+))?")
A_SECOND = {10: 1, 13: 10**3, 16: 10**6, 19: 10**9}
"""By the digits of a number since 1970, how many units a second has: all of 2001 to 2286, and no two alike."""

TIME = (
    r"(?:[T ,]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?P<second>:\d{2}(?:\.\d+)?)?(?:\s*(?P<half>[ap])\.?m\.?)?)?"
    r"\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2})?"
)
YEAR_FIRST = re.compile(r"(?P<year>\d{4})([./-])(?P<month>\d{1,2})\2(?P<day>\d{1,2})" + TIME, re.IGNORECASE)
YEAR_LAST = re.compile(r"(?P<first>\d{1,2})([./-])(?P<second_>\d{1,2})\2(?P<year>\d{4})" + TIME, re.IGNORECASE)


def moment(value: object) -> datetime | None:
    """What a created_at column holds, in UTC; what has no offset is UTC. None when it is blank.

    Raises:
        Wrong: it is no time, or may be more than one.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, float):
        if math.isnan(value):
            return None
        value = f"{value:f}"
    text = value.isoformat() if isinstance(value, date) else str(value).strip()
    try:
        return _since_1970(*number.groups("0")) if (number := NUMBER.fullmatch(text)) else _told(text)
    except (ValueError, OverflowError) as error:
        if isinstance(error, Wrong):
            raise
        raise Wrong(f"created_at is no time that is understood; {FORM}", repr(text[:40])) from None


def _since_1970(units: str, fraction: str) -> datetime:
    if (a_second := A_SECOND.get(len(units))) is None:
        raise ValueError("a number of no unit")
    microseconds = (int(units) * 10**6 + int(fraction[:6].ljust(6, "0"))) // a_second
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)


def _told(text: str) -> datetime:
    try:
        return parse_time(text)
    except ValueError:
        pass
    if found := YEAR_FIRST.fullmatch(text):
        day, month = found["day"], found["month"]
    elif found := YEAR_LAST.fullmatch(text):
        first, second = int(found["first"]), int(found["second_"])
        if first != second and max(first, second) <= 12:
            raise Wrong(f"created_at may have its day or its month first; {FORM}", repr(text))
        day, month = (found["second_"], found["first"]) if second > 12 else (found["first"], found["second_"])
    else:
        raise ValueError("no time")
    hour = int(found["hour"] or 0)
    if found["half"]:
        if not 1 <= hour <= 12:
            raise ValueError("no hour of twelve")
        hour = hour % 12 + (12 if found["half"] in "pP" else 0)
    zone = (found["zone"] or "").upper().replace("UTC", "Z").replace("GMT", "Z")
    clock = f"{hour:02}:{found['minute'] or '00'}{found['second'] or ''}"
    return parse_time(f"{found['year']}-{int(month):02}-{int(day):02}T{clock}{zone}")
