"""The counters in Redis: their keys, reading them all, and the one script that adds to them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import redis

from consumer.count.tally import Tally
from producer.errors import CommandError

Offsets = Mapping[int, int | None]
"""Partition -> next offset to count; None where nothing is counted yet."""


class TopicChanged(Exception):
    """The counters belong to another topic: it was deleted and created anew."""


@dataclass(frozen=True, slots=True)
class Counters:
    """Everything below one prefix, as it stood at one moment.

    Attributes:
        posts: city -> place -> posts.
        sentiment: city -> ``place``, ``place:sq``, ``place:n`` -> sum, sum of squares, posts with a sentiment.
        hours: city -> ``place|weekday|hour`` -> posts.
        days: city -> ``YYYY-MM-DD`` -> posts; fewer than in its hours when an earlier version counted some.
        stamps: ``encoder|places|decision`` -> posts.
        offsets: ``topic:partition`` -> next offset to count.
        topic_id: of the labelled topic; None when nothing is counted.
    """

    posts: dict[str, dict[str, int]]
    sentiment: dict[str, dict[str, int]]
    hours: dict[str, dict[str, int]]
    days: dict[str, dict[str, int]]
    stamps: dict[str, int]
    offsets: dict[str, int]
    topic_id: str | None

    @classmethod
    def read(cls, client: redis.Redis, prefix: str) -> "Counters":
        """Read everything in one transaction, so that counters and offsets belong together while counting goes on.

        Args:
            client: with ``decode_responses=True``.
            prefix: COUNTER_PREFIX.

        Raises:
            redis.RedisError: Redis does not answer.
            CommandError: something below the prefix is no counter.
        """
        cities: list[str] = []

        def ask(pipe: Any) -> None:  # asked again when a city is added meanwhile
            cities[:] = sorted(pipe.smembers(f"{prefix}:cities"))
            pipe.multi()
            pipe.get(f"{prefix}:topic")
            for name in ("offsets", "stamps", *(f"{kind}:{city}" for kind in _KINDS for city in cities)):
                pipe.hgetall(f"{prefix}:{name}")

        answers: Any = client.transaction(ask, f"{prefix}:cities")
        topic_id, *hashes = answers
        try:
            offsets, stamps, *of_cities = ({name: int(number) for name, number in each.items()} for each in hashes)
        except ValueError as error:
            raise CommandError(f"a counter below {prefix} is no number: {error}") from None
        kinds = iter(of_cities)
        posts, sentiment, hours, days = ({city: next(kinds) for city in cities} for _ in _KINDS)
        return cls(posts, sentiment, hours, days, stamps, offsets, topic_id)

    @classmethod
    def of(cls, counted: Tally, topic_id: str) -> "Counters":
        """What a tally leaves in an empty Redis, without offsets.

        Args:
            counted: of the whole topic.
            topic_id: of the labelled topic.
        """
        kinds = counted.kinds()
        posts, sentiment, hours, days = (
            {city: dict(kinds[kind].get(city, {})) for city in counted.posts} for kind in _KINDS
        )
        return cls(posts, sentiment, hours, days, dict(counted.stamps), {}, topic_id)

    def hashes(self) -> dict[str, dict[str, int]]:
        """By key without prefix, as `Tally.hashes`: ``stamps``, and ``posts:<city>`` and so on for every city."""
        kinds = zip(_KINDS, (self.posts, self.sentiment, self.hours, self.days), strict=True)
        of_cities = {f"{kind}:{city}": fields for kind, cities in kinds for city, fields in cities.items()}
        return {"stamps": self.stamps, **of_cities}


_KINDS = ("posts", "sentiment", "hours", "days")


def forget(client: redis.Redis, prefix: str) -> None:
    """Remove everything below a prefix in one step: who adds to it meanwhile loses all of it, which it notices.

    Args:
        client: with ``decode_responses=True``.
        prefix: of the keys.

    Raises:
        redis.RedisError: Redis does not answer.
    """

    def ask(pipe: Any) -> None:  # asked again when something is added meanwhile
        cities = pipe.smembers(f"{prefix}:cities")
        pipe.multi()
        of_cities = (f"{kind}:{city}" for kind in _KINDS for city in cities)
        pipe.delete(*(f"{prefix}:{name}" for name in ("offsets", "topic", "stamps", "cities", *of_cities)))

    client.transaction(ask, f"{prefix}:cities", f"{prefix}:offsets")


def offsets_of(topic: str, stored: Mapping[str, int | str]) -> dict[int, int]:
    """Partition -> next offset of a topic.

    Args:
        topic: its name.
        stored: the fields ``topic:partition`` of the offsets.
    """
    named = ((field.rpartition(":"), int(offset)) for field, offset in stored.items())
    return {int(partition): offset for (name, _, partition), offset in named if name == topic}


class Store:
    """The keys below one prefix. Programs we do not see read them: names and fields are a contract."""

    def __init__(self, client: redis.Redis, prefix: str, topic: str, topic_id: str) -> None:
        """Open the counters of a topic.

        Args:
            client: with ``decode_responses=True``.
            prefix: COUNTER_PREFIX; with a hash tag, so that one script may touch all keys on a cluster.
            topic: name of the labelled topic.
            topic_id: its id at the broker, which a topic created anew does not share.
        """
        self._client = client
        self._prefix = prefix
        self._topic = topic
        self._topic_id = topic_id
        self._apply = client.register_script((files(__package__) / "apply.lua").read_text("utf-8"))
        self._switch = client.register_script((files(__package__) / "switch.lua").read_text("utf-8"))

    def check_topic(self) -> None:
        """Make sure that the counters belong to this topic.

        Raises:
            TopicChanged: they belong to another one.
            redis.RedisError: Redis does not answer.
        """
        stored = self._client.get(self._key("topic"))
        if stored is not None and stored != self._topic_id:
            raise TopicChanged(str(stored))

    def offsets(self) -> dict[int, int]:
        """Next offset per partition, as stored.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        stored: dict[str, str] = self._client.hgetall(self._key("offsets"))  # type: ignore[assignment]
        return offsets_of(self._topic, stored)

    def apply(self, tally: Tally, before: Offsets, after: Mapping[int, int]) -> dict[int, int] | None:
        """Add a tally and move the offsets, all or nothing.

        Args:
            tally: what the records between the offsets add.
            before: where the counters stand, per partition; every stored offset must still be that.
            after: where they stand then; partitions that are not named stay.

        Returns:
            None when applied; otherwise the stored offsets: go on from there.

        Raises:
            TopicChanged: the counters belong to another topic.
            redis.ResponseError: something below the prefix is no counter; nothing was applied.
            redis.RedisError: unknown whether it was applied: read the stored offsets and go on from there.
        """
        hashes = tally.hashes()
        keys = [self._key(name) for name in ("offsets", "topic", "cities", *hashes)]
        given = {
            "topic": self._topic_id,
            "from": {self._field(p): "" if offset is None else str(offset) for p, offset in before.items()},
            "to": {self._field(p): str(offset) for p, offset in after.items()},
            "cities": list(tally.posts),
            "increments": [
                [number, field, str(amount)]
                for number, fields in enumerate(hashes.values(), start=4)
                for field, amount in fields.items()
            ],
        }
        answer = self._apply(keys=keys, args=[json.dumps(given)])
        if answer[0] == "applied":
            return None
        if answer[0] == "topic":
            raise TopicChanged(answer[1])
        return offsets_of(self._topic, dict(zip(answer[1::2], answer[2::2], strict=True)))

    def switch_to(self, live: str, offsets: Offsets) -> bool:
        """Put these counters in the place of others, in one step.

        Args:
            live: the prefix of the others; nothing of them is left.
            offsets: where these stand, as far as the caller knows.

        Returns:
            Whether it was done: not when they stand elsewhere or are of another topic, for then somebody else writes.

        Raises:
            redis.RedisError: unknown whether it was done.
        """
        stand = {self._field(p): str(offset) for p, offset in offsets.items() if offset is not None}
        given = json.dumps({"topic": self._topic_id, "offsets": stand, "kinds": _KINDS})
        return bool(self._switch(keys=[self._key("offsets")], args=[live, self._prefix, given]))

    def _field(self, partition: int) -> str:
        return f"{self._topic}:{partition}"

    def _key(self, name: str) -> str:
        return f"{self._prefix}:{name}"
