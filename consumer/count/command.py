"""The command `count`: labelled topic -> Redis counters, each post once, until it is stopped."""

import logging
import ssl
import time
from collections.abc import Mapping
from threading import Event
from zoneinfo import ZoneInfo

import redis
from kafka.errors import KafkaError
from prometheus_client import REGISTRY

from consumer import __version__
from consumer.count.cities import load_zones
from consumer.count.read import Reader
from consumer.count.settings import CountSettings, RedisSettings
from consumer.count.store import Store, TopicChanged
from consumer.count.tally import Tally, tally
from consumer.health import Health, serve
from consumer.metrics import CountMetrics
from consumer.start import begin, stop_on_signals
from producer.connect import connect
from producer.errors import CommandError
from producer.logs import event
from producer.settings import load

log = logging.getLogger(__name__)

HEALTH_LIMIT = 60.0
"""Seconds between two turns of the loop after which it counts as stuck."""


def main(argv: list[str]) -> int:
    """Run `count`.

    Args:
        argv: flags of `CountSettings`.

    Returns:
        0 when stopped, or at the end with --stop-at-end.

    Raises:
        CommandError: one line that says what is wrong.
    """
    settings = load(CountSettings, "python -m consumer count", argv)
    begin(settings)
    zones = load_zones(settings.cities_file)
    metrics = CountMetrics(REGISTRY)
    metrics.build_info.labels(__version__).set(1)
    health = Health(HEALTH_LIMIT)
    serve(settings.metrics_host, settings.metrics_port, REGISTRY, health)
    client = settings.redis_client()
    wait_for_redis(settings, client, settings.startup_timeout)
    reader = Reader(settings, metrics)
    if settings.stop_at_end:
        latest = connect(settings, reader.ends).latest
        reader.stop_at({partition.partition: end for partition, end in latest.items()})
    store = Store(client, settings.counter_prefix, settings.output_topic, reader.topic_id)
    stop = Event()
    stop_on_signals(stop)
    try:
        counted = count(reader, store, zones, metrics, health, stop)
    except TopicChanged as changed:
        raise CommandError(
            f"the counters under {settings.counter_prefix} are of another {settings.output_topic} (topic id {changed}, "
            f"now {reader.topic_id}): it was created anew; `python -m consumer recount` counts the new one"
        ) from None
    finally:
        reader.close()
    event(log, logging.INFO, "ended", counted=counted)
    return 0


def count(
    reader: Reader,
    store: Store,
    zones: Mapping[str, ZoneInfo],
    metrics: CountMetrics,
    health: Health,
    stop: Event,
) -> int:
    """The loop: read, tally, apply. Whatever fails, reading goes on from what Redis says is counted.

    Args:
        reader: the labelled topic, from which partition to which end.
        store: the counters.
        zones: city -> time zone.
        metrics: where everything is counted.
        health: is told of every turn of the loop.
        stop: ends it.

    Returns:
        Posts counted.

    Raises:
        TopicChanged: the counters are of another topic.
        CommandError: waiting does not mend it.
    """
    counted, in_step, pause = 0, False, 0.1
    warned: set[str] = set()
    while not stop.is_set():
        health.turned()
        try:
            if not in_step:
                store.check_topic()
                reader.go_on_from(store.offsets())
                in_step = health.ready = True
                if reader.is_at_end():  # another `count` has done it, or is far ahead
                    break
            chunk = reader.next_chunk()
            if chunk is None:
                in_step = reader.stands_at(stored := store.offsets())
                if not in_step:
                    event(log, logging.WARNING, "Redis stands elsewhere; going on from there", stored=stored)
                    continue
                metrics.last_progress.set_to_current_time()
                pause = 0.1
                if reader.is_at_end():
                    break
                continue
            added = tally(chunk.labeled, zones)
            refused = store.apply(added, chunk.before, chunk.after)
            metrics.applications.labels("refused" if refused is not None else "applied").inc()
            if refused is not None:
                event(log, logging.WARNING, "Redis stands elsewhere; going on from there", stored=refused)
                in_step = False
                continue
            reader.counted(chunk)
            counted += len(chunk.labeled)
            metrics.counted.inc(len(chunk.labeled))
            metrics.last_progress.set_to_current_time()
            pause = 0.1
            event(log, logging.INFO, "counted", posts=len(chunk.labeled), offsets=chunk.after)
            _warn_once(added, warned)
        except (redis.RedisError, KafkaError) as error:
            in_step = False
            event(log, logging.WARNING, "lost Redis or the broker", why=error, again_in=f"{pause:g}s")
            stop.wait(pause)
            pause = min(pause * 2, 5.0)
    return counted


def _warn_once(added: Tally, warned: set[str]) -> None:
    """Say which posts are in no hour: once per city, and once for posts without a time."""
    for city in sorted(added.without_zone - warned):
        warned.add(city)
        event(log, logging.WARNING, "no time zone for this city: its posts are in no hour (CITIES_FILE)", city=city)
    if added.without_time and "" not in warned:
        warned.add("")  # no city has this name
        event(log, logging.WARNING, "posts without created_at are in no hour", posts=added.without_time)


def wait_for_redis(settings: RedisSettings, client: redis.Redis, timeout: float) -> None:
    """Wait until Redis answers.

    Args:
        settings: names the address.
        client: to ask with.
        timeout: seconds to keep trying.

    Raises:
        CommandError: it does not, or refuses who we are.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            client.ping()
            return
        except (redis.AuthenticationError, redis.ResponseError) as error:
            raise CommandError(f"Redis at {settings.redis_address} refused: {error} (REDIS_URL)") from None
        except (redis.RedisError, OSError) as error:
            cause = error.__context__
            if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):  # no waiting mends that
                raise CommandError(
                    f"no TLS with Redis at {settings.redis_address} (REDIS_URL, REDIS_SSL_CAFILE): {error}"
                ) from None
            if time.monotonic() > deadline:
                raise CommandError(
                    f"no Redis answers at {settings.redis_address} (tried for {timeout:g} s; set REDIS_URL): {error}"
                ) from None
            time.sleep(0.3)
