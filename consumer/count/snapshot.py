"""All counters, as their readers see them: read a slice of cities at a time, and never half of a `recount`."""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import redis

from consumer.count.counters import KINDS, Tally
from producer.base.errors import CommandError
from producer.base.logs import event

log = logging.getLogger(__name__)

IDS_OF = "ids:of"
"""The hash whose field ``posts`` says of how many posts the ids are known: a version before this counted without."""
SLICE = 500
"""Most cities whose counters are read at one moment: Redis answers nobody else meanwhile."""
SWITCHING = "switching:"
"""What the stored topic id begins with while a `recount` puts its counters in place."""
SWITCH_LIMIT = 60.0
"""Seconds to wait for that `recount`."""
LOOK_EVERY = 0.2
"""Seconds between two looks whether it has ended."""


class Switching(CommandError):
    """A `recount` is putting its counters in place: some keys are still the old ones, others are missing."""

    def __init__(self, prefix: str) -> None:
        """Say so, and what helps when that does not end."""
        super().__init__(
            f"a recount is putting new counters in place under {prefix}; if it was interrupted, "
            "`python -m consumer recount` goes on with it"
        )


class Patience:
    """Waits for a `recount` that is putting its counters in place, for a limited time: it may have been killed."""

    def __init__(self, sleep: Callable[[float], object], limit: float | None = None) -> None:
        """Begin with all of it.

        Args:
            sleep: waits for so many seconds.
            limit: seconds in all; None is `SWITCH_LIMIT`.
        """
        self._sleep = sleep
        self._limit = SWITCH_LIMIT if limit is None else limit
        self._deadline: float | None = None

    def wait(self, switching: Switching) -> None:
        """Wait a little, and say so at the first time.

        Args:
            switching: what was raised.

        Raises:
            Switching: that, when the time is over.
        """
        now = time.monotonic()
        is_first, self._deadline = self._deadline is None, self._deadline or now + self._limit
        if now >= self._deadline:
            raise switching
        if is_first:
            event(log, logging.WARNING, f"waiting: {switching}")
        self._sleep(LOOK_EVERY)


class _Replaced(Exception):
    """Other counters are in place than a moment ago: a `recount` has ended, or Redis was set back."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What `snapshot.lua` answers: hashes as of one moment, by name; those that are empty are left out.

    Attributes:
        recounted: changes with each `recount`.
        cities: how many there are.
        ids: about how many different ones the posts have.
    """

    topic_id: str | None
    recounted: str | None
    cities: int
    ids: int
    hashes: dict[str, dict[str, int]]

    @classmethod
    def read(cls, client: redis.Redis, prefix: str, *names: str, cities: Sequence[str] = ()) -> "Moment":
        """Read hashes by name, and all of some cities.

        Raises:
            redis.RedisError: Redis does not answer.
            Switching: half of them would be missing.
            CommandError: something below the prefix is no counter.
        """
        script = client.register_script((files(__package__) / "snapshot.lua").read_text("utf-8"))
        asked = json.dumps({"names": names, "kinds": KINDS, "cities": cities})
        answer = json.loads(script(keys=[f"{prefix}:topic"], args=[prefix, asked]))
        if (answer["topic"] or "").startswith(SWITCHING):
            raise Switching(prefix)
        try:
            hashes = {
                name: dict(zip(held[::2], map(int, held[1::2]), strict=True)) for name, held in answer["hashes"].items()
            }
        except ValueError as error:
            raise CommandError(f"a counter below {prefix} is no number: {error}") from None
        topic = answer["topic"] if isinstance(answer["topic"], str) else None  # a broker's topic may have the empty id
        return cls(topic, answer["recounted"] or None, answer["cities"], answer["ids"], hashes)

    def known_to(self) -> dict[int, int]:
        """Partition -> offset below which it is known which cities came first; of this very topic."""
        return offsets_of(str(self.topic_id), self.hashes.get("known", {}))

    def first(self) -> dict[int, dict[str, int]]:
        """Partition -> city -> offset of its first post."""
        return {partition: self.hashes.get(f"known:{partition}", {}) for partition in self.known_to()}

    def is_of_the_same(self, other: "Moment") -> bool:
        """Whether no `recount` has replaced the counters in between."""
        return (self.topic_id, self.recounted) == (other.topic_id, other.recounted)


@dataclass(frozen=True, slots=True)
class Counters:
    """Everything below one prefix, as it stood at one moment; beyond `SLICE` cities each slice of them at its own.

    Attributes:
        posts: city -> place -> posts.
        broader: city -> ``level|group`` -> posts; empty where an earlier version labelled or counted.
        sentiment: city -> ``place``, ``place:sq``, ``place:n`` -> sum, sum of squares, posts with a sentiment.
        languages: city -> ISO 639-1 -> posts; empty where an earlier version labelled or counted.
        hours: city -> ``place|weekday|hour`` -> posts.
        days: city -> ``YYYY-MM-DD`` -> posts; fewer than in its hours when an earlier version counted some.
        stamps: ``encoder|places|decision`` -> posts.
        offsets: ``topic:partition`` -> next offset to count.
        topic_id: of the labelled topic; None when nothing is counted.
        later: city -> the offsets at its own moment, where they are others.
        known_to: partition -> offset below which `first` is known; below `offsets` where an earlier version counted.
        first: partition -> city that keeps its name -> offset of its first post.
        ids: how many different ids the posts have (an id in two cities is two); its standard error is 0.81 %.
        ids_of: of how many posts that is.
    """

    posts: dict[str, dict[str, int]]
    broader: dict[str, dict[str, int]]
    sentiment: dict[str, dict[str, int]]
    languages: dict[str, dict[str, int]]
    hours: dict[str, dict[str, int]]
    days: dict[str, dict[str, int]]
    stamps: dict[str, int]
    offsets: dict[str, int]
    topic_id: str | None
    later: dict[str, dict[str, int]] = field(default_factory=dict)
    known_to: dict[int, int] = field(default_factory=dict)
    first: dict[int, dict[str, int]] = field(default_factory=dict)
    ids: int = 0
    ids_of: int = 0

    @classmethod
    def read(cls, client: redis.Redis, prefix: str, patience: float | None = None) -> "Counters":
        """Read everything, also while counting goes on.

        Args:
            client: with ``decode_responses=True``.
            prefix: COUNTER_PREFIX.
            patience: seconds to wait for a `recount` that is putting its counters in place; None is `SWITCH_LIMIT`.

        Raises:
            redis.RedisError: Redis does not answer.
            Switching: it did not end within that time.
            CommandError: something below the prefix is no counter.
        """
        waiting = Patience(time.sleep, patience)
        while True:
            try:
                return cls._read(client, prefix)
            except _Replaced:
                continue
            except Switching as switching:
                waiting.wait(switching)

    @classmethod
    def _read(cls, client: redis.Redis, prefix: str) -> "Counters":
        def listed() -> set[str]:
            return set(client.sscan_iter(f"{prefix}:cities", count=SLICE))

        cities: list[str] = []
        names = ("offsets", "stamps", "known", IDS_OF)
        first = Moment.read(client, prefix, *names)
        while first.cities != len(cities) and len(cities) <= SLICE:  # asked again when a city is added meanwhile
            cities, then = sorted(listed()), first
            first = Moment.read(client, prefix, *names, cities=cities[:SLICE])
            if not first.is_of_the_same(then):
                raise _Replaced
        if first.cities != len(cities):  # too many to ask for that again: what was counted by that moment is listed now
            cities[SLICE:] = listed().difference(cities[:SLICE])
        hashes, later = first.hashes, dict[str, dict[str, int]]()
        for begin in range(SLICE, len(cities), SLICE):
            some = cities[begin : begin + SLICE]
            then = Moment.read(client, prefix, "offsets", cities=some)
            offsets, before = then.hashes.pop("offsets", {}), hashes.get("offsets", {})
            if not then.is_of_the_same(first) or any(offsets.get(each, 0) < offset for each, offset in before.items()):
                raise _Replaced
            if offsets != before:
                later |= dict.fromkeys(some, offsets)
            hashes |= then.hashes
        cities.sort()
        kinds: Any = {kind: {city: hashes.get(f"{kind}:{city}", {}) for city in cities} for kind in KINDS}
        return cls(
            **kinds,
            stamps=hashes.get("stamps", {}),
            offsets=hashes.get("offsets", {}),
            topic_id=first.topic_id,
            later=later,
            known_to=first.known_to(),
            first=first.first(),
            ids=first.ids,
            ids_of=hashes.get(IDS_OF, {}).get("posts", 0),
        )

    @classmethod
    def of(cls, counted: Tally, topic_id: str) -> "Counters":
        """What a tally leaves in an empty Redis, without offsets.

        Args:
            counted: of the whole topic.
            topic_id: of the labelled topic.
        """
        whole = counted.kinds()
        kinds: Any = {kind: {city: dict(whole[kind].get(city, {})) for city in counted.posts} for kind in KINDS}
        return cls(**kinds, stamps=dict(counted.stamps), offsets={}, topic_id=topic_id)

    def hashes(self) -> dict[str, dict[str, int]]:
        """By key without prefix, as `Tally.hashes`: ``stamps``, and ``posts:<city>`` and so on for every city."""
        return {"stamps": self.stamps} | {
            f"{kind}:{city}": fields for kind in KINDS for city, fields in getattr(self, kind).items()
        }


def offsets_of(topic: str, stored: Mapping[str, int | str]) -> dict[int, int]:
    """Partition -> next offset of a topic.

    Args:
        topic: its name.
        stored: the fields ``topic:partition`` of the offsets.
    """
    named = ((field.rpartition(":"), int(offset)) for field, offset in stored.items())
    return {int(partition): offset for (name, _, partition), offset in named if name == topic}
