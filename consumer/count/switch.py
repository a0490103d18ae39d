"""Rebuilt counters take the place of the live ones: a few cities at a time, so that Redis goes on answering others."""

import json
from importlib.resources import files
from typing import Any
from uuid import uuid4

import redis

from consumer.count.counters import KINDS
from consumer.count.store import Offsets, Store

STEP = 200
"""Most cities that one step handles: some milliseconds of Redis' time."""


class AnotherRecount(Exception):
    """Another `recount` writes to the same keys; nothing of the live counters was changed."""


class Rebuild:
    """Counters that are rebuilt beside the live ones. Whoever is killed between two steps is followed by the next."""

    def __init__(self, client: redis.Redis, live: str) -> None:
        """Prepare; nothing is changed yet.

        Args:
            client: with ``decode_responses=True``.
            live: COUNTER_PREFIX.
        """
        self.prefix = f"{live}:rebuild"
        self._live = live
        self._token = uuid4().hex
        self._script = client.register_script((files(__package__) / "switch.lua").read_text("utf-8"))

    def begin(self) -> None:
        """Finish a switch that was interrupted; forget what a `recount` left that was interrupted before.

        One that still runs notices, for its offsets are gone.

        Raises:
            AnotherRecount: one has begun meanwhile.
            redis.RedisError: Redis does not answer.
        """
        while (answer := self.step("forget")) == "under way":
            while self.step("go on") == "more":
                pass
        while answer == "more":
            answer = self.step("forget on")
        if answer == "another":
            raise AnotherRecount

    def switch(self, store: Store, offsets: Offsets) -> None:
        """Put what was rebuilt in the place of the live counters. Meanwhile nobody counts, and readers wait.

        Args:
            store: that counted below `prefix`.
            offsets: where its counters stand, as far as the caller knows.

        Raises:
            AnotherRecount: they stand elsewhere, or are of another topic: somebody else writes there.
            redis.RedisError: it may be done, or in part: `begin` goes on with it.
        """
        answer = self.step("begin", topic=store.topic_id, offsets=store.fields(offsets))
        while answer == "more":
            answer = self.step("go on")
        if answer == "another":
            raise AnotherRecount

    def step(self, step: str, **given: Any) -> str:
        """One call of ``switch.lua``, which says what the steps are."""
        told = {"step": step, "token": self._token, "most": STEP, "kinds": KINDS} | given
        keys, args = [f"{self._live}:topic"], [self._live, self.prefix, json.dumps(told)]
        return str(self._script(keys=keys, args=args))
