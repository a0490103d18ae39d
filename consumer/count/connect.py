"""Reaching Redis at the start: retry while it comes up, then one clear line."""

import ssl
import time

import redis

from consumer.count.settings import RedisSettings
from consumer.count.snapshot import Counters
from producer.base.errors import CommandError


def connect_redis(settings: RedisSettings, timeout: float) -> redis.Redis:
    """A client whose Redis answers, retrying while it comes up.

    Args:
        settings: name the address.
        timeout: seconds to keep trying.

    Raises:
        CommandError: it does not, or refuses who we are.
    """
    client = settings.redis_client()
    deadline = time.monotonic() + timeout
    while True:
        try:
            client.ping()
            return client
        except (redis.AuthenticationError, redis.ResponseError) as error:
            raise CommandError(f"Redis at {settings.redis_address} refused: {error} (REDIS_URL)") from None
        except (redis.RedisError, OSError) as error:
            cause = error.__context__
            if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):  # waiting does not help
                raise CommandError(
                    f"no TLS with Redis at {settings.redis_address} (REDIS_URL, REDIS_SSL_CAFILE): {error}"
                ) from None
            if time.monotonic() > deadline:
                raise CommandError(
                    f"no Redis answers at {settings.redis_address} (tried for {timeout:g} s; set REDIS_URL): {error}"
                ) from None
            time.sleep(0.3)


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
    except redis.RedisError as error:
        raise CommandError(f"Redis at {settings.redis_address}: {error}") from None
    if not counters.posts:
        raise CommandError(
            f"nothing is counted under {settings.counter_prefix} at {settings.redis_address}; run `count` first"
        )
    return counters
