"""The counters in Redis: their keys, and the one script that adds to them."""

import json
from collections.abc import Mapping
from importlib.resources import files

import redis

from consumer.count.tally import Tally

Offsets = Mapping[int, int | None]
"""Partition -> next offset to count; None where nothing is counted yet."""


class TopicChanged(Exception):
    """The counters belong to another topic: it was deleted and created anew."""


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
        self._script = client.register_script((files(__package__) / "apply.lua").read_text("utf-8"))

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
        return self._of_this_topic(stored)

    def apply(self, tally: Tally, before: Offsets, after: Mapping[int, int]) -> dict[int, int] | None:
        """Add a tally and move the offsets, all or nothing.

        Args:
            tally: what the records between the offsets add.
            before: where reading began, per partition; every stored offset must still be that.
            after: where it ended.

        Returns:
            None when applied; otherwise the stored offsets: go on from there.

        Raises:
            TopicChanged: the counters belong to another topic.
            redis.RedisError: unknown whether it was applied: read the stored offsets and go on from there.
        """
        hashes = tally.hashes()
        keys = [self._key(name) for name in ("offsets", "topic", "cities", "stamps", *hashes)]
        given = {
            "topic": self._topic_id,
            "from": {self._field(p): "" if offset is None else str(offset) for p, offset in before.items()},
            "to": {self._field(p): str(offset) for p, offset in after.items()},
            "cities": list(tally.posts),
            "stamps": {stamp: str(posts) for stamp, posts in tally.stamps.items()},
            "increments": [
                [number, field, str(amount)]
                for number, fields in enumerate(hashes.values(), start=5)
                for field, amount in fields.items()
            ],
        }
        answer = self._script(keys=keys, args=[json.dumps(given)])
        if answer[0] == "applied":
            return None
        if answer[0] == "topic":
            raise TopicChanged(answer[1])
        return self._of_this_topic(dict(zip(answer[1::2], answer[2::2], strict=True)))

    def _of_this_topic(self, stored: Mapping[str, str]) -> dict[int, int]:
        named = ((field.rpartition(":"), int(offset)) for field, offset in stored.items())
        return {int(partition): offset for (topic, _, partition), offset in named if topic == self._topic}

    def _field(self, partition: int) -> str:
        return f"{self._topic}:{partition}"

    def _key(self, name: str) -> str:
        return f"{self._prefix}:{name}"
