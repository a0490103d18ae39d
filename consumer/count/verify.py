"""The command `verify`: Redis against the labelled topic below the stored offsets; right while counting goes on."""

import logging
import sys
from collections.abc import Container, Mapping
from zoneinfo import ZoneInfo

from kafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from consumer.count.connect import RedisFailure, connect_redis, what_helps
from consumer.count.counters import Tally
from consumer.count.known import KnownCities
from consumer.count.read import Reader
from consumer.count.settings import CounterSettings
from consumer.count.snapshot import Counters, offsets_of
from consumer.count.store import first_below
from consumer.count.zones import load_zones
from consumer.metrics import CountMetrics
from producer.base.errors import CommandError
from producer.base.logs import setup
from producer.base.settings import load

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
    client = connect_redis(settings, settings.startup_timeout)
    reader = Reader(settings, CountMetrics(CollectorRegistry()))
    counted, known = Tally(), KnownCities(zones)
    try:
        counters = Counters.read(client, settings.counter_prefix)
        offsets = offsets_of(settings.output_topic, counters.offsets)
        _check_comparable(settings, reader, counters, offsets)
        _count(reader, counters, settings.output_topic, known, counted, zones)
    except (*RedisFailure, KafkaError) as error:
        raise CommandError(f"could not compare: {error}{what_helps(error)}") from None
    finally:
        reader.close()
    found = differences(counters.hashes(), counted.hashes())
    complete = {number for number, offset in offsets.items() if counters.known_to.get(number, 0) >= offset}
    ours, theirs = (_by_key(first_below(offsets, first), complete) for first in (counters.first, known.first))
    found += differences(ours, theirs)
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


def _check_comparable(settings: VerifySettings, reader: Reader, counters: Counters, offsets: Mapping[int, int]) -> None:
    topic = settings.output_topic
    if counters.topic_id not in (None, reader.topic_id):
        raise CommandError(f"the counters are of another {topic} (topic id {counters.topic_id}); `recount` counts this")
    if not offsets:
        raise CommandError(f"nothing of {topic} is counted under {settings.counter_prefix} at {settings.redis_address}")
    begins, ends = reader.ends()
    beyond = {number: offset for number, offset in offsets.items() if offset > ends.get(number, 0)}
    if beyond:
        raise CommandError(
            f"the stored offsets lie beyond the end of {topic} (partition: offset {beyond}): "
            "the topic has lost records; `recount` counts what is left"
        )
    if expired := {number: first for number, first in begins.items() if first > 0}:
        print(
            f"warning: {topic} no longer begins at its first record (partition: first offset {expired}): "
            "what was counted of the expired ones shows as a difference",
            file=sys.stderr,
        )


def _count(
    reader: Reader,
    counters: Counters,
    topic: str,
    known: KnownCities,
    counted: Tally,
    zones: Mapping[str, ZoneInfo],
) -> None:
    """Count what the counters hold: each city below the offsets at which its counters were read."""
    whole = offsets_of(topic, counters.offsets)
    moments = {id(offsets): offsets_of(topic, offsets) for offsets in counters.later.values()}  # few, of many cities
    later = {city: moments[id(offsets)] for city, offsets in counters.later.items()}
    until = {
        number: max(each.get(number, 0) for each in (whole, *moments.values()))
        for number in {*whole, *(number for each in moments.values() for number in each)}
    }
    beyond = Tally()
    for chunk in reader.read_whole(until, "verifying"):
        for record in chunk.labeled:
            post = known.named(record)
            if record.offset < whole.get(record.partition, 0):
                counted.add(post, zones)
            elif record.offset < later.get(post.city, whole).get(record.partition, 0):
                beyond.add(post, zones)
    beyond.stamps.clear()  # they were read with those of `whole`
    counted.merge(beyond)


def _by_key(first: Mapping[int, Mapping[str, int]], partitions: Container[int]) -> dict[str, Mapping[str, int]]:
    return {f"known:{number}": cities for number, cities in first.items() if number in partitions}


def differences(in_redis: Mapping[str, Mapping[str, int]], in_topic: Mapping[str, Mapping[str, int]]) -> list[str]:
    """One line per counter that differs.

    Args:
        in_redis: key without prefix -> field -> what Redis says.
        in_topic: what the topic says.
    """
    found = []
    for name in sorted({*in_redis, *in_topic}):
        ours, theirs = in_redis.get(name, {}), in_topic.get(name, {})
        found += [
            f"{name} {field}: Redis has {ours.get(field, 0)}, the topic {theirs.get(field, 0)}"
            for field in sorted({*ours, *theirs})
            if ours.get(field, 0) != theirs.get(field, 0)
        ]
    return found
