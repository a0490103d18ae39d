"""The command `verify`: Redis against the labelled topic below the stored offsets; right while counting goes on."""

import logging
from collections.abc import Mapping

import redis
from kafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from consumer.count.cities import load_zones
from consumer.count.command import wait_for_redis
from consumer.count.popularity import Counters
from consumer.count.read import Reader
from consumer.count.settings import CounterSettings
from consumer.count.store import Store, TopicChanged
from consumer.count.tally import Tally, tally
from consumer.metrics import CountMetrics
from producer.errors import CommandError
from producer.logs import setup
from producer.settings import load

log = logging.getLogger(__name__)

MOST_SHOWN = 20


class VerifySettings(CounterSettings):
    """Compare the counters in Redis with the labelled topic; print every difference, exit code 1 when there is one."""


def main(argv: list[str]) -> int:
    """Run `verify`.

    Args:
        argv: flags of `VerifySettings`.

    Returns:
        0 when equal, 1 when not.

    Raises:
        CommandError: no broker, no Redis, nothing counted yet, or the counters are of another topic.
    """
    settings = load(VerifySettings, "python -m consumer verify", argv)
    setup(settings)
    zones = load_zones(settings.cities_file)
    client = settings.redis_client()
    wait_for_redis(settings, client, settings.startup_timeout)
    reader = Reader(settings, CountMetrics(CollectorRegistry()))
    counted = Tally()
    try:
        store = Store(client, settings.counter_prefix, settings.output_topic, reader.topic_id)
        store.check_topic()
        counters, offsets = Counters.read(client, settings.counter_prefix), store.offsets()
        # Counters and offsets belong together only when both were read at one moment.
        while (again := store.offsets()) != offsets:
            counters, offsets = Counters.read(client, settings.counter_prefix), again
        if not offsets:
            raise CommandError(f"nothing is counted under {settings.counter_prefix} at {settings.redis_address}")
        reader.stop_at(offsets)
        reader.go_on_from({})
        while not reader.is_at_end():
            if chunk := reader.next_chunk():
                counted.merge(tally(chunk.labeled, zones))
    except TopicChanged as changed:
        raise CommandError(f"the counters are of another {settings.output_topic} (topic id {changed})") from None
    except (redis.RedisError, KafkaError) as error:
        raise CommandError(f"could not compare: {error}; run it again") from None
    finally:
        reader.close()
    found = differences(counters, counted)
    for line in found[:MOST_SHOWN]:
        print(line)
    if len(found) > MOST_SHOWN:
        print(f"… and {len(found) - MOST_SHOWN} more")
    posts = sum(counted.stamps.values())
    if found:
        print(
            f"{len(found)} counters differ from the {posts:,} posts of {settings.output_topic}; `recount` rebuilds them"
        )
        return 1
    print(f"the counters equal the {posts:,} labelled posts of {settings.output_topic} below the stored offsets")
    return 0


def differences(counters: Counters, counted: Tally) -> list[str]:
    """One line per counter that differs.

    Args:
        counters: what Redis says.
        counted: what the topic says.
    """
    in_redis: dict[str, Mapping[str, int]] = {"stamps": counters.stamps}
    kinds = {"posts": counters.posts, "sentiment": counters.sentiment, "hours": counters.hours}
    for kind, cities in kinds.items():
        in_redis.update({f"{kind}:{city}": fields for city, fields in cities.items()})
    in_topic: dict[str, Mapping[str, int]] = {**counted.hashes(), "stamps": counted.stamps}
    found = []
    for name in sorted({*in_redis, *in_topic}):
        ours, theirs = in_redis.get(name, {}), in_topic.get(name, {})
        found += [
            f"{name} {field}: Redis has {ours.get(field, 0)}, the topic {theirs.get(field, 0)}"
            for field in sorted({*ours, *theirs})
            if ours.get(field, 0) != theirs.get(field, 0)
        ]
    return found
