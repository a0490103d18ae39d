"""Adding to the counters in Redis: how far they are, and the one script that moves them on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

import redis

from consumer.count.counters import Tally
from consumer.count.snapshot import IDS_OF, SWITCHING, Moment, Switching, offsets_of
from producer.base.errors import CommandError

Offsets = Mapping[int, int | None]
"""Partition -> next offset to count; None where nothing is counted yet."""


class TopicChanged(Exception):
    """The counters belong to another topic: it was deleted and recreated."""


def first_below(offsets: Offsets, first: Mapping[int, Mapping[str, int]]) -> dict[int, dict[str, int]]:
    """Which cities came first below these offsets.

    Args:
        offsets: per partition.
        first: partition -> city -> offset of its first post; may know more.
    """
    return {p: {c: at for c, at in cities.items() if at < (offsets.get(p) or 0)} for p, cities in first.items()}


@dataclass(frozen=True, slots=True)
class Stand:
    """How far the counters are.

    Attributes:
        offsets: partition -> next offset to count.
        known_to: partition -> offset below which it is known which cities came first; a version before this counted
            without that.
        first: partition -> city that keeps its name -> offset of its first post; as far as is counted.
    """

    offsets: dict[int, int]
    known_to: dict[int, int]
    first: dict[int, dict[str, int]]


class Store:
    """The keys below one prefix. Programs we do not see read them: names and fields are a contract."""

    def __init__(self, client: redis.Redis, prefix: str, topic: str, topic_id: str) -> None:
        """Open the counters of a topic.

        Args:
            client: with ``decode_responses=True``.
            prefix: COUNTER_PREFIX; with a hash tag, so that one script may touch all keys on a cluster.
            topic: name of the labelled topic.
            topic_id: its id at the broker, which a recreated topic does not share.
        """
        self._client = client
        self._prefix = prefix
        self._topic = topic
        self.topic_id = topic_id
        self._apply = client.register_script((files(__package__) / "store.lua").read_text("utf-8"))

    def check_writable(self) -> None:
        """Make sure that Redis takes writes: a primary of before answers as a replica, and tells what it had.

        Raises:
            redis.RedisError: it does not answer, or takes none.
        """
        self._client.unlink(self._key("nothing"))

    def reconnect(self) -> None:
        """Ask the address again who is there; a client of a cluster does so by itself."""
        if isinstance(self._client, redis.Redis):
            self._client.connection_pool.disconnect()

    def stand(self) -> Stand:
        """How far is counted, and which cities came first below that.

        Raises:
            TopicChanged: the counters belong to another topic.
            Switching: a `recount` is putting others in place.
            redis.RedisError: Redis does not answer.
            CommandError: something below the prefix is no counter, or the counters are there without their offsets.
        """
        moment = Moment.read(self._client, self._prefix, "offsets", "known")
        if moment.topic_id not in (None, self.topic_id):
            raise TopicChanged(moment.topic_id)
        if moment.cities and not moment.hashes.get("offsets"):
            raise CommandError(self._orphaned)
        offsets = offsets_of(self._topic, moment.hashes.get("offsets", {}))
        return Stand(offsets, moment.known_to(), first_below(offsets, moment.first()))

    def offsets(self) -> dict[int, int]:
        """Next offset per partition, as stored.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        stored: dict[str, str] = self._client.hgetall(self._key("offsets"))  # type: ignore[assignment]
        return offsets_of(self._topic, stored)

    def apply(
        self,
        tally: Tally,
        before: Offsets,
        after: Mapping[int, int],
        known_to: Offsets | None = None,
        first: Mapping[int, Mapping[str, int]] | None = None,
        ids: Sequence[str] = (),
    ) -> dict[int, int] | None:
        """Add a tally and move the offsets, all or nothing.

        Args:
            tally: what the records between the offsets add.
            before: where the counters stand, per partition; every stored offset must still be that.
            after: how far is read then; partitions that are not named stay, and so do offsets that are beyond.
            known_to: below which offsets it was known which cities came first; None: as far as is counted.
            first: partition -> city that became known -> offset of its first post.
            ids: of the tally's posts, by `hashed_id`.

        Returns:
            None when applied; otherwise the stored offsets: go on from there.

        Raises:
            TopicChanged: the counters belong to another topic.
            Switching: a `recount` is putting others in place.
            CommandError: the counters are there without their offsets; nothing was applied.
            redis.ResponseError: something below the prefix is no counter; nothing was applied.
            redis.RedisError: unknown whether it was applied: read the stored offsets and go on from there.
        """
        hashes = tally.hashes() | ({IDS_OF: {"posts": len(ids)}} if ids else {})
        known_to = before if known_to is None else known_to
        names = ["offsets", "topic", "cities", "known", "ids", *hashes, *(f"known:{partition}" for partition in after)]
        given = {
            "topic": self.topic_id,
            "from": self.fields(before),
            "to": self.fields({p: max(before.get(p) or 0, offset) for p, offset in after.items()}),
            "known_from": {self._known_field(p): _text(known_to.get(p)) for p in before},
            "known_to": {self._known_field(p): _text(offset) for p, offset in after.items()},
            "first": [
                [number, known_to.get(p) is None, {c: _text(at) for c, at in (first or {}).get(p, {}).items()}]
                for number, p in enumerate(after, start=6 + len(hashes))
            ],
            "cities": list(tally.posts),
            "ids": ids,
            "increments": [
                [number, field, str(amount)]
                for number, fields in enumerate(hashes.values(), start=6)
                for field, amount in fields.items()
            ],
        }
        answer = self._apply(keys=list(map(self._key, names)), args=[json.dumps(given)])
        if answer[0] == "applied":
            return None
        if answer[0] == "orphaned":
            raise CommandError(self._orphaned)
        if answer[0] == "topic":
            raise Switching(self._prefix) if answer[1].startswith(SWITCHING) else TopicChanged(answer[1])
        return offsets_of(self._topic, dict(zip(answer[1::2], answer[2::2], strict=True)))

    @property
    def _orphaned(self) -> str:
        return (
            f"{self._key('offsets')} is gone, which says how far is counted, and counters are there: somebody deleted "
            "it, or Redis threw it away; `python -m consumer recount` counts them again"
        )

    def _known_field(self, partition: int) -> str:
        return f"{self.topic_id}:{partition}"

    def fields(self, offsets: Offsets) -> dict[str, str]:
        """Offsets as they are stored; the empty text where nothing is counted yet."""
        return {f"{self._topic}:{partition}": _text(offset) for partition, offset in offsets.items()}

    def _key(self, name: str) -> str:
        return f"{self._prefix}:{name}"


def _text(offset: int | None) -> str:
    return "" if offset is None else str(offset)
