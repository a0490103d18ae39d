"""The command `recount`: rebuild the counters from the labelled topic beside the live ones, then switch to them."""

import logging

from kafka.errors import KafkaError
from prometheus_client import CollectorRegistry
from pydantic import Field

from consumer.count.connect import RedisFailure, connect_redis, what_helps
from consumer.count.counters import hashed_id, tally
from consumer.count.known import KnownCities
from consumer.count.read import Reader
from consumer.count.settings import CounterSettings
from consumer.count.store import Store, TopicChanged
from consumer.count.switch import AnotherRecount, Rebuild
from consumer.count.zones import load_zones
from consumer.metrics import CountMetrics
from producer.base.connect import connect
from producer.base.errors import CommandError
from producer.base.logs import setup
from producer.base.settings import load

log = logging.getLogger(__name__)


class RecountSettings(CounterSettings):
    """Rebuild the counters from the whole labelled topic; a running `count` goes on meanwhile and afterwards."""

    force: bool = Field(False, description="even if the topic's beginning is gone")


def main(argv: list[str]) -> int:
    """Run `recount`.

    Args:
        argv: flags of `RecountSettings`.

    Raises:
        CommandError: no broker, no Redis, another recount at the same time, or the topic has lost its beginning.
    """
    settings = load(RecountSettings, "python -m consumer recount", argv)
    setup(settings)
    zones = load_zones(settings.cities_file)
    client = connect_redis(settings, settings.startup_timeout, to_write=True)
    reader = Reader(settings, CountMetrics(CollectorRegistry()))
    begins, ends = connect(settings, reader.ends)
    lost = {number: beginning for number, beginning in begins.items() if beginning > 0}
    if lost and not settings.force:
        raise CommandError(
            f"{settings.output_topic} no longer begins at its first record (partition: first offset {lost}): "
            "a recount would forget what expired; --force does it all the same"
        )
    rebuild, is_switching = Rebuild(client, settings.counter_prefix), False
    try:
        rebuild.begin()
        store = Store(client, rebuild.prefix, settings.output_topic, reader.topic_id)
        counted, stand, known = 0, dict[int, int](), KnownCities(zones)
        for chunk in reader.read_whole(ends, "recounting"):
            labeled = list(known.posts(chunk.labeled, chunk.before))
            added, ids = tally(labeled, zones), list(map(hashed_id, labeled))
            if store.apply(added, chunk.before, chunk.after, chunk.known_to, known.take_new(), ids) is not None:
                raise AnotherRecount
            counted += len(chunk.labeled)
            stand |= chunk.after
        is_switching = True
        rebuild.switch(store, stand)
    except (AnotherRecount, TopicChanged):  # of the other's topic, which was recreated
        raise CommandError(
            f"nothing was changed: another recount writes to {rebuild.prefix} as well; run one at a time"
        ) from None
    except (*RedisFailure, KafkaError) as error:
        undone = "it is not known whether all new counters are in place" if is_switching else "nothing was changed"
        raise CommandError(f"{undone}: {error}{what_helps(error)}") from None
    finally:
        reader.close()
    print(f"recounted {counted:,} labelled posts of {settings.output_topic} under {settings.counter_prefix}")
    return 0
