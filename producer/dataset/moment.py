"""When a post was made, as tables have it: as records do, or as spreadsheets show it."""

import math
import re
from datetime import date, datetime

from producer.base.errors import Wrong
from producer.post import parse_time

FORM = "write it as 2017-06-06T20:54:00Z"

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
        return _told(text)
    except (ValueError, OverflowError) as error:
        if isinstance(error, Wrong):
            raise
        raise Wrong(f"created_at is no time that is understood; {FORM}", repr(text[:40])) from None


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
