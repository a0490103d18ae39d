"""The command `count`: labelled topic -> Redis counters, each post once, until it is stopped."""

import logging
from collections import Counter
from collections.abc import Mapping
from threading import Event
from zoneinfo import ZoneInfo

from kafka.errors import KafkaError
from prometheus_client import REGISTRY

from consumer import __version__
from consumer.count.connect import RedisFailure, connect_redis, may_pass
from consumer.count.counters import tally
from consumer.count.known import MOST, OTHER, KnownCities
from consumer.count.read import Reader
from consumer.count.settings import CountSettings
from consumer.count.snapshot import Patience, Switching
from consumer.count.store import Store, TopicChanged
from consumer.count.zones import load_zones
from consumer.health import Health, serve
from consumer.metrics import CountMetrics
from consumer.start import begin, stop_on_signals
from producer.base.connect import connect
from producer.base.errors import CommandError
from producer.base.logs import event
from producer.base.settings import load

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
    client = connect_redis(settings, settings.startup_timeout, to_write=True)
    reader = Reader(settings, metrics)
    if settings.stop_at_end:
        reader.stop_at(connect(settings, reader.ends)[1])
    store = Store(client, settings.counter_prefix, settings.output_topic, reader.topic_id)
    stop = Event()
    stop_on_signals(stop)
    try:
        counted = count(reader, store, zones, metrics, health, stop)
    except TopicChanged as changed:
        raise CommandError(
            f"the counters under {settings.counter_prefix} are of another {settings.output_topic} (topic id {changed}, "
            f"now {reader.topic_id}): it was created again; `python -m consumer recount` counts the new one"
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
        CommandError: waiting does not help, or has not helped.
    """
    counted, in_step, pause = 0, False, 0.1
    known, patience, notices = KnownCities(zones), Patience(stop.wait), Notices()
    while not stop.is_set():
        health.record_turn()
        try:
            if not in_step:
                store.check_writable()
                stand = store.stand()
                known = KnownCities(zones, stand.first)
                reader.go_on_from(stand.offsets, stand.known_to)
                in_step = health.ready = True
                patience = Patience(stop.wait)
                if reader.is_at_end():  # another `count` has done it, or is far ahead
                    break
            chunk = reader.next_chunk()
            if chunk is None:
                store.check_writable()
                in_step = reader.stands_at(stored := store.offsets())
                if not in_step:
                    event(log, logging.WARNING, "Redis stands elsewhere; going on from there", stored=stored)
                    continue
                metrics.last_progress.set_to_current_time()
                pause = 0.1
                if reader.is_at_end():
                    break
                continue
            added = tally(known.posts(chunk.labeled, chunk.before), zones)
            refused = store.apply(added, chunk.before, chunk.after, chunk.known_to, known.take_new())
            metrics.applications.labels("refused" if refused is not None else "applied").inc()
            if refused is not None:
                event(log, logging.WARNING, "Redis stands elsewhere; going on from there", stored=refused)
                in_step = False
                continue
            reader.record_counted(chunk)
            posts, capped = added.stamps.total(), added.posts.get(OTHER, Counter()).total()
            counted += posts
            metrics.counted.inc(posts)
            metrics.capped.inc(capped)
            metrics.last_progress.set_to_current_time()
            pause = 0.1
            event(log, logging.INFO, "counted", posts=posts, offsets=chunk.after)
            notices.say("posts without created_at are in no hour", added.without_time)
            for city, without in added.without_zone.items():
                notices.say("posts of cities without a time zone are in no hour (CITIES_FILE)", without, city)
            notices.say(f"posts of cities beyond a partition's first {MOST:,} count as {OTHER}", capped, known.beyond)
        except Switching as switching:
            in_step = False
            patience.wait(switching)
        except (*RedisFailure, KafkaError) as error:
            in_step, what = False, "the broker" if isinstance(error, KafkaError) else "Redis"
            if what == "Redis":
                if not may_pass(error):
                    raise CommandError(f"Redis refused, and waiting does not help: {error}") from None
                health.ready = False
                store.reconnect()
            event(log, logging.WARNING, f"lost {what}", why=error, again_in=f"{pause:g}s")
            stop.wait(pause)
            pause = min(pause * 2, 5.0)
    return counted


class Notices:
    """Says what posts lack: each kind when it is new, and again when it has grown tenfold."""

    def __init__(self) -> None:
        """Nothing is said yet."""
        self._posts: Counter[str] = Counter()
        self._said: Counter[str] = Counter()

    def say(self, what: str, posts: int, city: str | None = None) -> None:
        """Warn, unless it was said.

        Args:
            what: the kind; the same words every time.
            posts: how many more.
            city: an example.
        """
        self._posts[what] += posts
        if self._posts[what] >= max(1, 10 * self._said[what]):
            self._said[what] = self._posts[what]
            example = {} if city is None else {"city": city}
            event(log, logging.WARNING, what, posts=self._posts[what], **example)
