"""The command `verify`: Redis against the labelled topic below the stored offsets; right while counting goes on."""

import logging
import sys
from collections.abc import Mapping

import redis
from kafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from consumer.count.cities import load_zones
from consumer.count.command import wait_for_redis
from consumer.count.read import Reader
from consumer.count.settings import CounterSettings
from consumer.count.store import Counters, offsets_of
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
        counters = Counters.read(client, settings.counter_prefix)
        offsets = offsets_of(settings.output_topic, counters.offsets)
        _check_comparable(settings, reader, counters, offsets)
        for chunk in reader.read_whole(offsets, "verifying"):
            counted.merge(tally(chunk.labeled, zones))
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


def _check_comparable(settings: VerifySettings, reader: Reader, counters: Counters, offsets: Mapping[int, int]) -> None:
    topic = settings.output_topic
    if counters.topic_id not in (None, reader.topic_id):
        raise CommandError(f"the counters are of another {topic} (topic id {counters.topic_id}); `recount` counts this")
    if not offsets:
        raise CommandError(f"nothing of {topic} is counted under {settings.counter_prefix} at {settings.redis_address}")
    ends = reader.ends()
    latest = {partition.partition: end for partition, end in ends.latest.items()}
    beyond = {number: offset for number, offset in offsets.items() if offset > latest.get(number, 0)}
    if beyond:
        raise CommandError(
            f"the stored offsets lie beyond the end of {topic} (partition: offset {beyond}): "
            "the topic has lost records; `recount` counts what is left"
        )
    if expired := {partition.partition: first for partition, first in ends.earliest.items() if first > 0}:
        print(
            f"warning: {topic} no longer begins at its first record (partition: first offset {expired}): "
            "what was counted of the expired ones shows as a difference",
            file=sys.stderr,
        )


def differences(counters: Counters, counted: Tally) -> list[str]:
    """One line per counter that differs.

    Args:
        counters: what Redis says.
        counted: what the topic says.
    """
    in_redis: Mapping[str, Mapping[str, int]] = counters.hashes()
    in_topic: Mapping[str, Mapping[str, int]] = counted.hashes()
    found = []
    for name in sorted({*in_redis, *in_topic}):
        ours, theirs = in_redis.get(name, {}), in_topic.get(name, {})
        found += [
            f"{name} {field}: Redis has {ours.get(field, 0)}, the topic {theirs.get(field, 0)}"
            for field in sorted({*ours, *theirs})
            if ours.get(field, 0) != theirs.get(field, 0)
        ]
    return found
