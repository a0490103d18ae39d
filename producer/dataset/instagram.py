"""When an Instagram post was made: its id says it."""

from datetime import UTC, datetime

EPOCH_MS = 1_314_220_021_721
"""What Instagram's ids count from, in Unix milliseconds (24 August 2011)."""

EARLIEST = datetime(2012, 1, 1, tzinfo=UTC)
"""Before this the ids were made otherwise."""


def created_at(post_id: str, now: datetime) -> datetime | None:
    """The instant in an Instagram id: its upper 41 bits are milliseconds since `EPOCH_MS`.

    Source: Instagram Engineering, "Sharding & IDs at Instagram" (2012).

    Returns:
        The instant in UTC; None unless the id has 17 to 19 digits and the instant lies between 2012-01-01 and `now`.
    """
    if not (post_id.isascii() and post_id.isdigit() and 17 <= len(post_id) <= 19):
        return None
    milliseconds = (int(post_id) >> 23) + EPOCH_MS
    if not EARLIEST.timestamp() * 1000 <= milliseconds <= now.timestamp() * 1000:
        return None
    seconds, rest = divmod(milliseconds, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)
