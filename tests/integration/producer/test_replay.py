import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import KafkaAdminClient

from deploy.local.stack import Stack
from producer.dataset.open import open_dataset
from producer.post import Post
from producer.topics import CreateSettings, create_topics
from tests.conftest import PATIENCE, ROOT, Background, RunCli, StartCli, Topics, clean_environment, wait_until
from tests.unit.producer.tree import JPEG, posts, put
from tests.wire import read_all


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 posts in two cities, laid out as InstaCities1M."""
    root = tmp_path_factory.mktemp("dataset")
    for number in range(60):
        city = ("london", "chicago")[number % 2]
        post_id = str(1480879485913200243 + number * 10**12)
        put(root / "img_resized_1M" / "cities_instagram" / city / f"{post_id}.jpg", JPEG + bytes([number]) * 1000)
        if number % 3:
            put(
                root / "captions_resized_1M" / "cities_instagram" / city / f"{post_id}.txt",
                f"line 1\nköprü {number} 🌉",
            )
    return root


Begun = Callable[..., Background]


@pytest.fixture
def order(sample: Path) -> list[str]:
    """The ids of the sample's posts in the dataset's order."""
    return [post.post_id for post in posts(open_dataset(sample))]


@pytest.fixture
def begun(stack: Stack, topics: Topics, start_cli: StartCli, sample: Path) -> Iterator[Begun]:
    """Starts a slow replay (posts/s) that hears SIGHUP, even if `nohup` runs the tests; five posts are in the topic."""

    def start(*flags: str, rate: int = 5) -> Background:
        running = start_cli("producer", "replay", str(sample), "--rate", str(rate), *flags, env=topics.environment)
        wait_until(
            lambda: running.process.poll() is not None or len(read_all(stack, topics.input)) >= 5, what="5 posts"
        )
        return running

    of_tests = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield start
    signal.signal(signal.SIGHUP, of_tests)


def as_posts(found: list[Any]) -> list[Post]:
    return [Post.from_record(record.key, record.value, record.headers) for record in found]


def by_id(found: list[Post]) -> dict[str, Post]:
    return {post.post_id: post for post in found}


def test_a_replayed_dataset_is_in_the_topic_as_it_is_on_disk(
    stack: Stack, topics: Topics, run_cli: RunCli, sample: Path
) -> None:
    began = time.time() * 1000
    done = run_cli("producer", "replay", str(sample), env=topics.environment)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"sent 60, failed 0 \(0\.1 MB in .* s, .* posts/s\)\n", done.stdout)
    assert done.stderr == ""
    found = read_all(stack, topics.input)
    on_disk = posts(open_dataset(sample))
    assert len(found) == 60
    assert by_id(as_posts(found)) == by_id(on_disk)
    assert all(post.created_at and post.created_at.year == 2017 for post in on_disk)
    assert all(record.timestamp >= began - 1000 for record in found), "the record's time is when it entered Kafka"
    assert {record.timestamp_type for record in found} == {1}, "LogAppendTime"
    for partition in range(topics.partitions):  # in each partition, in the dataset's order
        order = [record.key.decode() for record in found if record.partition == partition]
        assert order == [post.post_id for post in on_disk if post.post_id in order]


def test_cities_and_limit_choose(stack: Stack, topics: Topics, run_cli: RunCli, sample: Path) -> None:
    done = run_cli("producer", "replay", str(sample), "--cities", "london", "--limit", "7", env=topics.environment)
    assert done.returncode == 0, done.stderr
    london = [post.post_id for post in posts(open_dataset(sample)) if post.city == "london"]
    assert set(by_id(as_posts(read_all(stack, topics.input)))) == set(london[:7])


def test_a_missing_topic_is_said_and_not_created(run_cli: RunCli, sample: Path, admin: KafkaAdminClient) -> None:
    refused = run_cli("producer", "replay", str(sample), "--input-topic", "no-such-topic")
    assert refused.returncode == 1
    assert refused.stderr.splitlines() == [
        "python -m producer replay: topic no-such-topic does not exist; create it: python -m producer topics"
    ]
    assert "no-such-topic" not in admin.list_topics()


def test_posts_that_cannot_be_sent_are_named_and_the_others_are_sent(
    stack: Stack, topics: Topics, run_cli: RunCli, tmp_path: Path
) -> None:
    put(tmp_path / "rome" / "1.jpg")
    put(tmp_path / "rome" / "2.jpg", b"")
    put(tmp_path / "rome" / "3.jpg", b"x" * 200_000)
    put(tmp_path / "rome" / "4.jpg", b"x" * 99_990)  # fits, but not with its key and headers
    put(tmp_path / "rome" / "5.jpg")
    done = run_cli("producer", "replay", str(tmp_path / "rome"), "--max-request-size", "100000", env=topics.environment)
    assert done.returncode == 1
    assert done.stdout.startswith("sent 2, failed 3 (")
    first, second, third = done.stderr.splitlines()
    assert first.endswith("2.jpg: the picture is empty (0 bytes)")
    assert second.endswith("3.jpg: the picture is larger than a record may be (100000 bytes): 200000 bytes")
    assert third.startswith("failed: post '4': ")
    assert [post.post_id for post in as_posts(read_all(stack, topics.input))] in (["1", "5"], ["5", "1"])


def test_the_limit_of_the_topic_counts_as_well(stack: Stack, run_cli: RunCli, tmp_path: Path) -> None:
    names = {"input_topic": "narrow", "output_topic": "narrow-labeled", "dead_letter_topic": "narrow-dlt"}
    create_topics(
        CreateSettings.model_validate(
            names | {"bootstrap_servers": stack.broker.address, "partitions": 1, "max_request_size": 100_000}
        )
    )
    for name, size in (("1", 50_000), ("2", 150_000), ("3", 60_000), ("4", 70_000)):
        put(tmp_path / "rome" / f"{name}.jpg", b"x" * size)
    done = run_cli("producer", "replay", str(tmp_path / "rome"), "--input-topic", "narrow")
    assert (done.returncode, done.stdout.split(" (")[0]) == (1, "sent 3, failed 1"), done.stderr
    (line,) = done.stderr.splitlines()
    assert line.endswith("2.jpg: the picture is larger than a record may be (100000 bytes): 150000 bytes")
    assert [post.post_id for post in as_posts(read_all(stack, "narrow"))] == ["1", "3", "4"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_replay_says_how_far_it_came_and_goes_on_there(
    stack: Stack, topics: Topics, run_cli: RunCli, begun: Begun, sample: Path, order: list[str], number: int
) -> None:
    running = begun()
    assert running.end(number) == 1
    match = re.search(
        r"^sent (\d+), failed 0, last post (\d+): continue with --start-after (\d+)$", running.output, re.MULTILINE
    )
    assert match, running.output
    sent, last, after = match.groups()
    assert last == after
    assert 5 <= int(sent) < 60
    assert order[int(sent) - 1] == last
    assert len(read_all(stack, topics.input)) == int(sent)

    rest = run_cli("producer", "replay", str(sample), "--start-after", after, env=topics.environment)
    assert rest.stdout.startswith(f"sent {60 - int(sent)}, failed 0 ("), rest.stderr
    assert sorted(record.key.decode() for record in read_all(stack, topics.input)) == sorted(order)


@contextmanager
def stopped(stack: Stack) -> Iterator[None]:
    """A broker that is there but answers nothing."""
    assert stack.broker.pid
    os.kill(stack.broker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(stack.broker.pid, signal.SIGCONT)
        wait_until(stack.broker.answers, what="the controller, which may have missed its heartbeats, lets it serve")


def test_a_lost_broker_ends_the_replay_after_the_delivery_timeout_and_says_how_far_it_came(
    stack: Stack, topics: Topics, begun: Begun, order: list[str]
) -> None:
    running = begun("--delivery-timeout", "3")
    with stopped(stack):
        assert running.wait() == 1
    assert "the broker is lost, or refuses: post " in running.output
    assert "Traceback" not in running.output
    match = re.search(r"sent (\d+), failed 0, last post (\d+): continue with --start-after \2\n", running.output)
    assert match, running.output
    assert order[int(match[1]) - 1] == match[2]
    there = {record.key.decode() for record in read_all(stack, topics.input)}
    assert there >= set(order[: int(match[1])]), "everything up to the last ID is in the topic"


def test_a_broker_that_comes_back_in_time_loses_and_repeats_nothing(
    stack: Stack, topics: Topics, begun: Begun, order: list[str]
) -> None:
    running = begun(rate=10)
    with stopped(stack):
        time.sleep(2)  # nothing to wait for: the point is that nothing happens
    assert running.wait() == 0, running.output
    assert sorted(record.key.decode() for record in read_all(stack, topics.input)) == sorted(order)


def test_a_terminal_shows_a_bar(stack: Stack, topics: Topics, sample: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        running = subprocess.Popen(
            [sys.executable, "-m", "producer", "replay", str(sample), "--rate", "100"],
            env=clean_environment() | stack.environment | topics.environment | {"TERM": "xterm", "COLUMNS": "100"},
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
        )
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            shown += part
            if not part:
                break
        assert running.wait(PATIENCE) == 0
    finally:
        os.close(ours)
    assert re.search(rb"[1-5]\d/60", shown), shown[-500:]


def test_a_second_replay_of_what_the_topic_holds_sends_nothing_unless_told_so(
    stack: Stack, topics: Topics, run_cli: RunCli, sample: Path
) -> None:
    replay = ("producer", "replay", str(sample))
    assert run_cli(*replay, "--limit", "40", env=topics.environment).returncode == 0

    refused = run_cli(*replay, env=topics.environment)
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    found = re.match(
        rf"python -m producer replay: topic {topics.input} already holds post (\d+) of this dataset "
        r"\(partition (\d), offset (\d+), sent \d{4}-\d\d-\d\d \d\d:\d\d UTC\); nothing was sent",
        line,
    )
    assert found, line
    there = {(record.key.decode(), record.partition, record.offset) for record in read_all(stack, topics.input)}
    assert len(there) == 40
    assert (found[1], int(found[2]), int(found[3])) in there

    assert run_cli(*replay, "--again", "--limit", "2", env=topics.environment).returncode == 0
    assert len(read_all(stack, topics.input)) == 42
