"""The command `count`: labelled topic -> Redis counters, each post once, until it is stopped."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from threading import Event
from zoneinfo import ZoneInfo

from kafka.errors import KafkaError
from prometheus_client import REGISTRY

from consumer import __version__
from consumer.count.connect import RedisFailure, connect_redis, may_pass
from consumer.count.counters import Tally, hashed_id, tally
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
    counted, in_step = 0, False
    known, patience, pause, notices = KnownCities(zones), Patience(stop.wait), Pause(stop.wait), Notices()
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
                pause.end()
                if reader.is_at_end():
                    break
                continue
            labeled = list(known.posts(chunk.labeled, chunk.before))
            added, ids = tally(labeled, zones), list(map(hashed_id, labeled))
            refused = store.apply(added, chunk.before, chunk.after, chunk.known_to, known.take_new(), ids)
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
            pause.end()
            event(log, logging.INFO, "counted", posts=posts, offsets=chunk.after)
            notices.say_of(added, capped, known)
        except Switching as switching:
            in_step = False
            patience.wait(switching)
        except RedisFailure as error:
            if not may_pass(error):
                raise CommandError(f"Redis refused, and waiting does not help: {error}") from None
            in_step = health.ready = False
            store.reconnect()
            pause.wait("lost Redis", error)
        except KafkaError as error:
            in_step = False
            pause.wait("lost the broker", error)
    return counted


class Pause:
    """Waits between two attempts, each time twice as long."""

    def __init__(self, sleep: Callable[[float], object]) -> None:
        """Begin with a tenth of a second.

        Args:
            sleep: waits for so many seconds.
        """
        self._sleep = sleep
        self._seconds = 0.1

    def wait(self, lost: str, error: Exception) -> None:
        """Say what was lost and when it is tried again, and wait until then: five seconds at most."""
        event(log, logging.WARNING, lost, why=error, again_in=f"{self._seconds:g}s")
        self._sleep(self._seconds)
        self._seconds = min(self._seconds * 2, 5.0)

    def end(self) -> None:
        """Something works again."""
        self._seconds = 0.1


class Notices:
    """Says what posts lack: each kind when it is new, and again when it has grown tenfold."""

    def __init__(self) -> None:
        """Nothing is said yet."""
        self._posts: Counter[str] = Counter()
        self._said: Counter[str] = Counter()

    def say_of(self, added: Tally, capped: int, known: KnownCities) -> None:
        """Warn of what posts lack that were counted.

        Args:
            added: what they add.
            capped: those of cities that lose their name.
            known: the cities that keep it.
        """
        self.say("posts without created_at are in no hour", added.without_time)
        for city, without in added.without_zone.items():
            self.say("posts of cities without a time zone are in no hour (CITIES_FILE)", without, city)
        self.say(f"posts of cities beyond a partition's first {MOST:,} count as {OTHER}", capped, known.beyond)

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
