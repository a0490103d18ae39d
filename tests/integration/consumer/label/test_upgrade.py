"""Workers and counter are replaced by another version, one after the other, forth and back, under load."""

import subprocess
import tarfile
from contextlib import closing
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import redis
from kafka import KafkaAdminClient, KafkaConsumer, OffsetAndMetadata, TopicPartition

from consumer.count.snapshot import Counters
from consumer.dead_letter import SOURCE
from consumer.kafka.offsets import topic_id_of
from consumer.label.offset_metadata import Note
from deploy.local.stack import Stack
from tests.conftest import ROOT, Background, MakeTopics, RunCli, StartCli, Topics, wait_until
from tests.faults.feed import Feed
from tests.faults.pool import Pool
from tests.integration.consumer.count.conftest import counted
from tests.labels import labeled
from tests.tools import left_out, require
from tests.wire import post, read_all, write

EARLIER = "d8ff8d4a31511642e060405391e5fc83f0495d4c"
"""Before workers read their own outputs and dead letters named their source: that is how one tells who wrote them."""
PER_SECOND = 60
COUNT = ("count", "--metrics-port", "0")

Version = dict[str, str]
"""The variables with which Python takes the program from a folder."""
PRESENT: Version = {}


@pytest.fixture
def earlier(tmp_path: Path) -> Version:
    """The program of an earlier commit, laid out beside; nothing is fetched for it."""
    archived = subprocess.run([require("git"), "archive", EARLIER], cwd=ROOT, capture_output=True, check=False)
    if archived.returncode != 0:
        said = archived.stderr.decode(errors="replace").strip()
        raise left_out(f"commit {EARLIER[:7]} is not here (a shallow clone, or no repository): {said}", "git")
    folder = tmp_path / "earlier"
    with tarfile.open(fileobj=BytesIO(archived.stdout)) as files:
        files.extractall(folder, filter="data")
    return {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}  # safe: not from the working directory


def test_a_rolling_upgrade_and_its_rollback_neither_lose_nor_double_a_post(
    stack: Stack,
    make_topics: MakeTopics,
    start_cli: StartCli,
    run_cli: RunCli,
    redis_client: redis.Redis,
    counter_prefix: str,
    earlier: Version,
) -> None:
    pool = Pool(stack, make_topics(4), start_cli)
    env = pool.topics.environment | {"PLACESTREAM_COUNTER_PREFIX": counter_prefix}

    def count(version: Version) -> Background:
        return start_cli("consumer", *COUNT, env=env | version)

    def start(name: str, version: Version) -> None:
        pool.start(name, flags=("--batch-deadline", "0.2"), **version)

    with closing(Feed(stack, pool.topics, seed=205, per_second=PER_SECOND, at_least=0)) as feed:
        feed.start()
        for name in ("a", "b"):
            start(name, earlier)
        counter = count(earlier)
        pool.wait_published("a", "b")
        for name, version in (("a", PRESENT), ("b", PRESENT), ("b", earlier), ("b", PRESENT)):
            assert pool.workers[name].end() == 0, pool.workers[name].output
            start(name, version)
            pool.wait_published("a", "b")
            if name == "b":
                counter.wait_for_output(" counted ")
                assert counter.end() == 0, counter.output
                counter = count(version)
        pool.finish(feed)
        assert not pool.mended, "a worker ended by itself"

    labels, dead = (read_all(stack, topic) for topic in (pool.topics.output, pool.topics.dead_letter))
    assert {SOURCE in dict(record.headers) for record in dead} == {False, True}, "both versions wrote dead letters"
    wait_until(lambda: counted(redis_client, counter_prefix) == len(labels), what="every label counted")
    before = Counters.read(redis_client, counter_prefix)
    verified = run_cli("consumer", "verify", env=env)
    *missing, last = verified.stdout.splitlines()
    assert (verified.returncode, "`recount` rebuilds them" in last) == (1, True), verified.stdout + verified.stderr
    not_its_own = ("days:", "languages:", "broader:", "stamps ", "… and ")
    assert all(line.startswith(not_its_own) for line in missing), "the earlier counts, or knows, none of these"
    recounted = run_cli("consumer", "recount", env=env)
    assert recounted.returncode == 0, recounted.stderr
    after = Counters.read(redis_client, counter_prefix)
    assert before.ids_of < after.ids_of == len(labels), "of how many posts ids are known is said"
    # what the earlier counter knows not of
    new: dict[str, Any] = {"days": {}, "languages": {}, "broader": {}, "stamps": {}, "ids": 0, "ids_of": 0}
    assert replace(before, **new) == replace(after, **new), "the rest was right"
    verified = run_cli("consumer", "verify", env=env)
    assert f"equal the {len(labels):,} labelled posts" in verified.stdout, verified.stdout + verified.stderr


def test_an_earlier_worker_goes_on_where_one_of_this_version_has_died(
    stack: Stack, topics: Topics, run_cli: RunCli, earlier: Version, admin: KafkaAdminClient
) -> None:
    write(stack, topics.input, [post(str(number)) for number in range(2 * topics.partitions)])
    with closing(KafkaConsumer(bootstrap_servers=stack.broker.address, group_id=topics.input)) as consumer:
        partition = TopicPartition(topics.input, 0)
        note = Note("member", tries=2, is_trying=True, topic_id=topic_id_of(admin, topics.input))
        consumer.assign([partition])
        consumer.commit({partition: OffsetAndMetadata(1, note.to_metadata(), -1)})

    flags = ("--stop-at-end", "--metrics-port", "0", "--startup-timeout", "90")
    ended = run_cli("tests.light", *flags, env=topics.environment | earlier)

    assert ended.returncode == 0, ended.stderr
    labelled = {(record.partition, record.key) for record in read_all(stack, topics.output)}
    assert (0, b"0") not in labelled
    assert len(labelled) == 2 * topics.partitions - 1


def test_an_earlier_counter_stops_while_a_recount_puts_its_counters_in_place(
    stack: Stack, topics: Topics, run_cli: RunCli, redis_client: redis.Redis, counter_prefix: str, earlier: Version
) -> None:
    env = topics.environment | {"PLACESTREAM_COUNTER_PREFIX": counter_prefix}
    write(stack, topics.output, [(b"1", labeled().to_value(), [])] * 4)
    assert run_cli("consumer", *COUNT, "--stop-at-end", env=env | earlier).returncode == 0
    topic_id = str(redis_client.get(f"{counter_prefix}:topic"))
    redis_client.set(f"{counter_prefix}:topic", f"switching:{topic_id}")
    redis_client.delete(f"{counter_prefix}:offsets")  # what `switch.lua` does first

    stopped = run_cli("consumer", *COUNT, env=env | earlier)

    assert stopped.returncode == 1
    assert f"(topic id switching:{topic_id}, now {topic_id})" in stopped.stderr.splitlines()[-1]
    assert not redis_client.exists(f"{counter_prefix}:offsets")
    assert redis_client.hvals(f"{counter_prefix}:stamps") == ["4"]
