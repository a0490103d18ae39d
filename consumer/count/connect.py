"""Reaching Redis at the start: retry while it comes up, then one clear line."""

import logging
import ssl
import time
from typing import Any

import redis
from redis.cluster import RedisCluster
from redis.exceptions import AuthorizationError, ClusterDownError, MovedError, RedisClusterException, TryAgainError

from consumer.count.settings import RedisSettings
from consumer.count.snapshot import Counters
from producer.base.errors import CommandError
from producer.base.logs import event

log = logging.getLogger(__name__)

RedisFailure = (redis.RedisError, RedisClusterException, OSError)
"""Whatever redis-py raises: what it says of a cluster is no RedisError."""
PASSES = (
    redis.ConnectionError,
    redis.TimeoutError,
    redis.ReadOnlyError,
    redis.OutOfMemoryError,
    ClusterDownError,
    TryAgainError,
    RedisClusterException,
    OSError,
)
PASSES_BY_NAME = ("BUSY", "MASTERDOWN", "MISCONF", "NOREPLICAS")
"""Redis' names of errors for which redis-py has no class."""


def may_pass(error: BaseException) -> bool:
    """Whether waiting may help: Redis is away, loads, fails over, or cannot write now. Else somebody must mend it."""
    if isinstance(error, redis.AuthenticationError | AuthorizationError):
        return False
    return isinstance(error, PASSES) or str(error).partition(" ")[0] in PASSES_BY_NAME


def what_helps(error: BaseException) -> str:
    """What to add to the line of a command that Redis or the broker has ended."""
    return "" if isinstance(error, RedisFailure) and not may_pass(error) else "; run it again"


def connect_redis(settings: RedisSettings, timeout: float, *, to_write: bool = False) -> redis.Redis:
    """A client whose Redis answers, retrying while it comes up; of a cluster if it is one.

    Args:
        settings: name the address.
        timeout: seconds to keep trying.
        to_write: whether counters are to be kept there: a Redis that throws keys away is refused.

    Raises:
        CommandError: it does not answer, or refuses who we are or what we do.
    """
    client = settings.redis_client()
    deadline = time.monotonic() + timeout
    while True:
        try:
            client.ping()
            if _ask(client, "cluster").get("cluster_enabled"):
                client.close()
                client = settings.redis_client(RedisCluster)
            client.exists(key := f"{settings.counter_prefix}:topic")
            if to_write:
                _check_keeps(client, key, settings.redis_address)
            return client
        except RedisFailure as error:
            cause = error.__context__
            if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):  # waiting does not help
                raise CommandError(
                    f"no TLS with Redis at {settings.redis_address} (REDIS_URL, REDIS_SSL_CAFILE): {error}"
                ) from None
            if isinstance(error, MovedError):
                raise CommandError(
                    f"Redis at {settings.redis_address} is a cluster: its user needs +info and +cluster|slots"
                ) from None
            if not may_pass(error):
                raise CommandError(f"Redis at {settings.redis_address} refused: {error} (REDIS_URL)") from None
            if time.monotonic() > deadline:
                raise CommandError(
                    f"no Redis answers at {settings.redis_address} (tried for {timeout:g} s; set REDIS_URL): {error}"
                ) from None
            time.sleep(0.3)


def _ask(client: redis.Redis, section: str, **where: Any) -> dict[str, Any]:
    """A section of INFO; empty where we may not ask."""
    try:
        found: dict[str, Any] = client.info(section, **where)
    except redis.ResponseError:
        return {}
    return found


def _check_keeps(client: redis.Redis, key: str, address: str) -> None:
    where: dict[str, Any] = {"target_nodes": client.get_node_from_key(key)} if isinstance(client, RedisCluster) else {}
    memory = _ask(client, "memory", **where)
    if not memory:
        event(log, logging.WARNING, "may not ask Redis (INFO) whether it keeps all keys when its memory is full")
    elif memory.get("maxmemory") and str(memory.get("maxmemory_policy")).startswith("allkeys"):
        raise CommandError(
            f"Redis at {address} throws keys away when its memory is full (maxmemory-policy "
            f"{memory['maxmemory_policy']}), and with them what is counted: set noeviction, or take another Redis"
        )


def read_counters(settings: RedisSettings, timeout: float) -> Counters:
    """All counters, for a command that shows them.

    Args:
        settings: name the address.
        timeout: seconds to keep trying to reach Redis.

    Raises:
        CommandError: Redis does not answer, or nothing is counted.
    """
    client = connect_redis(settings, timeout)
    try:
        counters = Counters.read(client, settings.counter_prefix)
    except RedisFailure as error:
        raise CommandError(f"Redis at {settings.redis_address}: {error}") from None
    if not counters.posts:
        raise CommandError(
            f"nothing is counted under {settings.counter_prefix} at {settings.redis_address}; run `count` first"
        )
    return counters
