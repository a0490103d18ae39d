"""A labelled topic and its counters: write labels, count, look at every key."""

import io
import os
import subprocess
import urllib.request
from collections.abc import Iterable, Sequence
from contextlib import closing, redirect_stdout
from dataclasses import dataclass, field
from itertools import count as numbers
from threading import Event
from typing import Any
from unittest import mock

import pytest
import redis
from kafka import KafkaProducer
from prometheus_client import CollectorRegistry

from consumer.count import recount, verify
from consumer.count.count import HEALTH_LIMIT, count
from consumer.count.read import Reader
from consumer.count.settings import CountSettings
from consumer.count.store import Store
from consumer.count.zones import load_zones
from consumer.health import Health
from consumer.labeled_post import LabeledPost
from consumer.metrics import CountMetrics
from consumer.origin import Origin
from deploy.local.stack import Stack
from tests.conftest import Background, RunCli, StartCli, Topics, wait_until
from tests.labels import labeled
from tests.wire import write

CITIES = ("newyork", "sydney", "london", "são paulo")
PLACES = ("bridge", "coast", "temple/east_asia", None)
NAMED = ("bootstrap_servers", "redis_url", "output_topic", "counter_prefix")
"""Settings of every command here."""


def some_posts(number: int, first: int = 0) -> list[LabeledPost]:
    """Labelled posts that differ in city, place, sentiment and hour."""
    return [
        labeled(
            post_id=str(n),
            city=CITIES[n % 4],
            place=PLACES[n // 4 % 4],
            sentiment=None if n % 3 == 0 else (n % 200 - 100) / 100,
            created_at=None if n % 5 == 0 else f"2017-03-{n % 28 + 1:02d}T{n % 24:02d}:30:00.000Z",
        )
        for n in range(first, first + number)
    ]


def records(posts: Iterable[LabeledPost]) -> list[tuple[bytes, bytes, list[tuple[str, Any]]]]:
    return [
        (post.post_id.encode(), post.to_value(), post.headers(Origin.of("placestream", post.source), None))
        for post in posts
    ]


def write_unreadable(stack: Stack, topic: str) -> None:
    """A record that no client can read, to partition 1: a fault of the disk has changed its last byte."""
    with closing(KafkaProducer(bootstrap_servers=stack.broker.address)) as producer:
        producer.send(topic, b"v", b"k", partition=1).get(timeout=30)
    (segment,) = (stack.broker.folder / "data" / f"{topic}-1").glob("*.log")
    with segment.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\xff")


def keys_below(client: redis.Redis, prefix: str) -> dict[str, Any]:
    """Every key below the prefix, without it -> what it holds."""
    readers: dict[str, Any] = {
        "hash": client.hgetall,
        "set": lambda key: sorted(client.smembers(key)),
        "string": lambda key: client.pfcount(key) if key.endswith(":ids") else client.get(key),
    }
    keys = client.scan_iter(match=f"{prefix}:*", count=1000)
    return {key.removeprefix(f"{prefix}:"): readers[str(client.type(key))](key) for key in keys}


def counted(client: redis.Redis, prefix: str) -> int:
    """Posts in the counters below the prefix."""
    stamps: list[str] = client.hvals(f"{prefix}:stamps")  # type: ignore[assignment]
    return sum(map(int, stamps))


@dataclass(slots=True)
class Counting:
    """A fresh labelled topic of two partitions, fresh counters, and the commands on both."""

    stack: Stack
    topics: Topics
    redis: redis.Redis
    prefix: str
    run_cli: RunCli
    start_cli: StartCli
    environment: dict[str, str] = field(default_factory=dict)
    _next: Any = field(default_factory=numbers)

    def write(self, number: int) -> None:
        """So many more labelled posts, one after the other to partition 0 and 1."""
        write(self.stack, self.topics.output, records(some_posts(number, next(self._next) * 10_000)))

    def write_transaction(self, posts: Sequence[LabeledPost], commit: bool = True) -> None:
        """All posts to partition 0, as a worker does."""
        with closing(self.transactional_producer()) as producer:
            producer.init_transactions()
            producer.begin_transaction()
            for key, value, headers in records(posts):
                producer.send(self.topics.output, value, key, headers, partition=0)
            producer.flush()
            producer.commit_transaction() if commit else producer.abort_transaction()

    def transactional_producer(self) -> KafkaProducer:
        return KafkaProducer(
            bootstrap_servers=self.stack.broker.address, transactional_id=self.prefix, transaction_timeout_ms=15_000
        )

    def run(self, command: str, *flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """`python -m consumer COMMAND FLAGS…` to its end."""
        return self.run_cli("consumer", command, *flags, env=self.env | environment)

    def start(self, *flags: str, **environment: str) -> Background:
        """`count` in the background."""
        return self.start_cli("consumer", "count", *flags, env=self.env | environment)

    @property
    def settings(self) -> CountSettings:
        """Those of the commands."""
        env = self.stack.environment | self.env
        return CountSettings.model_validate({name: env[f"PLACESTREAM_{name.upper()}"] for name in NAMED})

    def count_here(self) -> CountMetrics:
        """`count --stop-at-end` in this process, whose constants a test may change."""
        settings, zones, metrics = self.settings, load_zones(), CountMetrics(CollectorRegistry())
        with closing(settings.redis_client()) as client, closing(Reader(settings, metrics)) as reader:
            reader.stop_at(reader.ends()[1])
            store = Store(client, settings.counter_prefix, settings.output_topic, reader.topic_id)
            count(reader, store, zones, metrics, Health(HEALTH_LIMIT), Event())
        return metrics

    def here(self, command: str) -> tuple[int, str]:
        """`recount` or `verify` in this process, whose constants a test may change: exit code and output."""
        env, module = self.stack.environment | self.env, {"recount": recount, "verify": verify}[command]
        flags = [f"--{name.replace('_', '-')}={env[f'PLACESTREAM_{name.upper()}']}" for name in NAMED]
        with mock.patch.object(module, "setup"), redirect_stdout(io.StringIO()) as said:  # the log is pytest's
            return module.main(flags), said.getvalue()

    @property
    def env(self) -> dict[str, str]:
        names = {"PLACESTREAM_COUNTER_PREFIX": self.prefix, "PLACESTREAM_METRICS_PORT": "0"}
        return self.topics.environment | names | self.environment

    def all_keys(self) -> dict[str, Any]:
        """Every key below the prefix, without it -> what it holds."""
        return keys_below(self.redis, self.prefix)

    def counted(self) -> int:
        """Posts in the counters."""
        return counted(self.redis, self.prefix)

    def wait_for(self, posts: int) -> None:
        wait_until(lambda: self.counted() == posts, what=f"{posts} posts in the counters")

    def assert_equal_to_a_recount(self, posts: int | None = None) -> None:
        """The counters equal the topic by `verify`, and are of so many posts."""
        code, said = self.here("verify")
        assert code == 0, said
        assert posts is None or f"the counters equal the {posts:,} labelled posts" in said


@pytest.fixture
def counting(
    stack: Stack,
    topics: Topics,
    redis_client: redis.Redis,
    counter_prefix: str,
    run_cli: RunCli,
    start_cli: StartCli,
) -> Counting:
    return Counting(stack, topics, redis_client, counter_prefix, run_cli, start_cli)


def address(counter: Background) -> str:
    """Where a running `count` answers over HTTP."""
    counter.wait_for_output("/metrics")
    return counter.output.split("address=")[1].split("/metrics")[0]


def ask(counter: Background, path: str) -> tuple[int, str]:
    """What a running `count` answers over HTTP."""
    with urllib.request.urlopen(f"{address(counter)}{path}", timeout=30) as answer:
        return answer.status, answer.read().decode()


def metric(counter: Background, sample: str) -> float:
    """The value of a sample, e.g. ``placestream_counted_posts_total``; 0 when it is not there."""
    lines = ask(counter, "/metrics")[1].splitlines()
    return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.rsplit(" ", 1)[0] == sample), 0.0)


def one_line(output: str, command: str = "count") -> str:
    assert "Traceback" not in output
    (line,) = [line for line in output.splitlines() if line.startswith("python -m consumer")]
    assert line == output.splitlines()[-1]
    assert line.startswith(f"python -m consumer {command}: ")
    return line
