import re
import signal
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, TopicPartition
from prometheus_client import CollectorRegistry

from consumer.count.read import Reader
from consumer.kafka import read_to_end
from consumer.metrics import CountMetrics
from deploy.local.redis_server import RedisServer, find_server
from tests.conftest import wait_until
from tests.integration.consumer.count.conftest import (
    Counting,
    address,
    ask,
    metric,
    one_line,
    records,
    some_posts,
    write_unreadable,
)
from tests.labels import labeled
from tests.wire import recreate, write


def test_two_counts_at_once_count_every_post_once(counting: Counting) -> None:
    counting.write(50)
    counters = [counting.start(), counting.start()]
    for posts in (150, 250, 350):
        counting.write(100)
        counting.wait_for(posts)
    third = counting.run("count", "--stop-at-end")  # beside two others it finds nothing to do
    assert third.returncode == 0, third.stderr
    counted = [metric(counter, "placestream_counted_posts_total") for counter in counters]
    assert sum(counted) == 350
    assert [counter.end(signal.SIGTERM) for counter in counters] == [0, 0]
    assert all("Traceback" not in counter.output for counter in counters)
    counting.assert_equal_to_a_recount(350)


def test_a_redis_that_goes_back_while_count_runs_repairs_itself(counting: Counting) -> None:
    counter = counting.start()
    counting.write(40)
    counting.wait_for(40)
    snapshot = {key: counting.redis.dump(key) for key in counting.redis.scan_iter(match=f"{counting.prefix}:*")}
    counting.write(60)
    counting.wait_for(100)

    counting.redis.delete(*counting.redis.scan_iter(match=f"{counting.prefix}:*"))
    for key, held in snapshot.items():
        counting.redis.restore(key, 0, held)  # type: ignore[arg-type]
    assert counting.counted() < 100
    counting.wait_for(100)  # though nothing new comes

    counting.redis.delete(*counting.redis.scan_iter(match=f"{counting.prefix}:*"))
    write(counting.stack, counting.topics.output, records(some_posts(1, 7_000)))  # to one partition only
    counting.wait_for(101)
    assert counter.end() == 0
    assert counter.output.count("Redis stands elsewhere; going on from there") >= 2
    counting.assert_equal_to_a_recount(101)


def test_a_count_killed_while_it_counts_goes_on_where_it_was(counting: Counting) -> None:
    counting.write(9_000)
    counter = counting.start()
    counter.wait_for_output(" counted ")
    assert counter.end(signal.SIGKILL) == -signal.SIGKILL
    killed_at = counting.counted()
    assert 0 < killed_at < 9_000  # else this shows nothing
    again = counting.run("count", "--stop-at-end")
    assert again.stderr.splitlines()[-1].endswith(f"ended counted={9_000 - killed_at}")
    counting.assert_equal_to_a_recount(9_000)


def test_redis_may_go_away_for_a_while(counting: Counting, tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis", find_server(lambda line: None), options=["--appendfsync", "always"])
    server.start()
    try:
        counting.environment["PLACESTREAM_REDIS_URL"] = server.url
        counter = counting.start()
        counting.write(10)
        wait_until(lambda: metric(counter, "placestream_counted_posts_total") == 10, what="ten posts counted")
        server.kill()
        counter.wait_for_output("lost Redis")
        counting.write(10)
        lag = "placestream_counter_lag_records" + '{partition="0"}'
        wait_until(lambda: metric(counter, lag) == 5, what="the lag is told meanwhile")
        assert ask(counter, "/healthz")[0] == 200
        server.start()
        wait_until(lambda: metric(counter, "placestream_counted_posts_total") == 20, what="all counted")
        assert metric(counter, lag) == 0
        assert counter.end() == 0
        counting.assert_equal_to_a_recount(20)
    finally:
        server.kill()


def test_what_cannot_be_counted_is_passed_over_and_said_once(counting: Counting) -> None:
    topic = counting.topics.output
    counter = counting.start()
    bad: list[Any] = [(b"1", b"{ no json", []), (b"2", b'{"post_id": "2"}', []), (b"3", None, [])]
    write(counting.stack, topic, records(some_posts(4)) + bad + records([labeled(created_at="0001-01-01T00:00:00Z")]))
    counting.wait_for(5)
    write(counting.stack, topic, records(some_posts(8)))
    counting.wait_for(13)
    assert metric(counter, "placestream_unreadable_records_total") == 3
    assert metric(counter, "placestream_counted_posts_total") == 13
    assert ask(counter, "/readyz") == (200, "ready\n")
    assert counter.end() == 0
    passed_over = re.findall(r"passed over topic=\S+ partition=(\d) offset=(\d+) why=", counter.output)
    assert sorted(passed_over) == [("0", "2"), ("0", "3"), ("1", "2")]
    assert counter.output.count("posts of cities without a time zone are in no hour (CITIES_FILE)") == 1
    assert 'city="são paulo"' in counter.output
    assert counter.output.count("posts without created_at are in no hour") == 1
    counting.assert_equal_to_a_recount(13)


@pytest.mark.parametrize("command", ["count", "verify", "recount"])
def test_a_record_that_cannot_be_read_is_one_line_with_its_place(counting: Counting, command: str) -> None:
    topic = counting.topics.output
    counting.write(4)  # two in each partition
    write_unreadable(counting.stack, topic)
    if command == "verify":  # it looks no further than what is counted
        counting.redis.hset(f"{counting.prefix}:offsets", f"{topic}:1", 3)

    refused = counting.run(command)

    assert refused.returncode == 1, refused.stderr
    line = one_line(refused.stderr, command)
    assert f": a record of {topic} cannot be read at or after one of the offsets " in line
    assert "run it again" not in line  # that would not mend it


def test_only_committed_labels_count_and_markers_are_no_lag(counting: Counting) -> None:
    posts = some_posts(30)
    counting.write_transaction(posts[:10])
    counting.write_transaction(posts[10:20], commit=False)
    counting.write_transaction(posts[20:])
    counter = counting.start()
    counting.wait_for(20)
    lag = "placestream_counter_lag_records" + '{partition="0"}'
    wait_until(lambda: metric(counter, lag) == 0, what="no lag")
    assert counter.end() == 0
    ended = counting.run("count", "--stop-at-end")  # the end is a marker; the counters stand before it
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.splitlines()[-1].endswith("ended counted=0")
    counting.assert_equal_to_a_recount(20)


def test_an_end_that_others_have_passed_moves_nothing_back(counting: Counting) -> None:
    counting.write(20)
    with closing(Reader(counting.settings, CountMetrics(CollectorRegistry()))) as reader:
        reader.stop_at({0: 4, 1: 8})
        reader.go_on_from({0: 6, 1: 5})
        read = []
        while not reader.is_at_end():
            if chunk := reader.next_chunk():
                read.append(chunk)
                reader.record_counted(chunk)
        assert [(chunk.before, chunk.after, len(chunk.labeled)) for chunk in read] == [({0: 6, 1: 5}, {1: 8}, 3)]
        assert reader.stands_at({0: 6, 1: 8})
        assert not reader.stands_at({0: 4, 1: 8})


def test_what_expired_uncounted_is_shown_once(counting: Counting, admin: KafkaAdminClient) -> None:
    counting.write(20)  # ten in each partition
    admin.delete_records({TopicPartition(counting.topics.output, 0): 7})
    metrics = CountMetrics(CollectorRegistry())
    with closing(Reader(counting.settings, metrics)) as reader:
        for _ in range(2):
            reader.go_on_from({0: 5, 1: 5})
    assert metrics.expired.labels("0")._value.get() == 2
    assert metrics.expired.labels("1")._value.get() == 0


def test_an_open_transaction_short_of_the_end_is_waited_for_and_said(
    counting: Counting, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(read_to_end, "HIDDEN_AFTER", 0.5)
    (post,) = some_posts(1)
    with (
        closing(counting.transactional_producer()) as producer,
        closing(Reader(counting.settings, CountMetrics(CollectorRegistry()))) as reader,
    ):
        producer.init_transactions()
        producer.begin_transaction()
        (record,) = records([post])
        producer.send(counting.topics.output, record[1], record[0], record[2], partition=0).get(timeout=10)
        reader.stop_at(reader.ends()[1])
        reader.go_on_from({})

        def said() -> bool:
            assert reader.next_chunk() is None
            assert not reader.is_at_end()
            return "short of the end, but nothing comes" in caplog.text

        wait_until(said, what="the reason for waiting")
        producer.commit_transaction()
        found: list[Any] = []

        def at_end() -> bool:
            if chunk := reader.next_chunk():
                found.extend(chunk.labeled)
            return reader.is_at_end()

        wait_until(at_end, what="the end")
    assert [record.post for record in found] == [post]
    assert caplog.text.count("short of the end") == 1


def test_a_recreated_topic_is_not_counted_into_the_old_counters(counting: Counting, admin: KafkaAdminClient) -> None:
    topic = counting.topics.output
    counting.write(10)
    running = counting.start()
    counting.wait_for(10)
    assert running.end() == 0
    keys = counting.all_keys()
    recreate(admin, topic)
    counting.write(4)

    refused = counting.run("count", "--stop-at-end")
    assert refused.returncode == 1
    assert f"are of another {topic} (topic id {keys['topic']}, now " in one_line(refused.stderr)
    assert "`python -m consumer recount` counts the new one" in one_line(refused.stderr)
    verified = counting.run("verify")
    assert verified.returncode == 1
    assert "the counters are of another" in one_line(verified.stderr, "verify")
    assert counting.all_keys() == keys

    assert counting.here("recount")[0] == 0
    counting.assert_equal_to_a_recount(4)


def test_a_topic_that_does_not_exist_is_one_line_and_none_is_created(
    counting: Counting, admin: KafkaAdminClient
) -> None:
    name = f"mistyped-{uuid.uuid4().hex[:8]}"
    refused = counting.run("count", PLACESTREAM_OUTPUT_TOPIC=name)
    assert refused.returncode == 1
    assert one_line(refused.stderr).startswith(f"python -m consumer count: topic {name} does not exist")
    assert name not in admin.list_topics()


@pytest.mark.parametrize(
    ("url", "exit_code", "said"),
    [
        ("redis://:s3cret@127.0.0.1:1/0", 1, "no Redis answers at 127.0.0.1:1 (tried for 2 s; set REDIS_URL)"),
        ("redis://nobody:s3cret@HOST/0", 1, "refused: "),
        ("redis://:s3cret@HOST/9999", 1, "refused: "),
        ("127.0.0.1:s3cret", 2, "setting REDIS_URL: must look like redis://"),
    ],
)
def test_a_wrong_redis_is_one_line_without_the_password(
    counting: Counting, url: str, exit_code: int, said: str
) -> None:
    url = url.replace("HOST", counting.stack.redis.address)
    refused = counting.run("count", "--startup-timeout", "2", PLACESTREAM_REDIS_URL=url)
    assert refused.returncode == exit_code, refused.stderr
    assert said in one_line(refused.stderr)
    assert "s3cret" not in refused.stdout + refused.stderr


def test_a_password_that_is_right_is_not_printed_either(counting: Counting) -> None:
    counting.redis.acl_setuser("counter", enabled=True, passwords=["+s3cret"], keys=["*"], commands=["+@all"])
    counting.write(3)
    url = f"redis://counter:s3cret@{counting.stack.redis.address}/0"
    done = counting.run("count", "--stop-at-end", "--redis-url", url)
    assert done.returncode == 0, done.stderr
    assert counting.counted() == 3
    assert "redis_url=**********" in done.stderr
    assert "s3cret" not in done.stdout + done.stderr


def test_no_broker_is_one_line(counting: Counting) -> None:
    refused = counting.run("count", "--bootstrap-servers", "127.0.0.1:1", "--startup-timeout", "1")
    assert refused.returncode == 1
    assert "no Kafka broker answers at 127.0.0.1:1 " in one_line(refused.stderr)


def test_a_busy_metrics_port_is_one_line(counting: Counting) -> None:
    counter = counting.start()
    port = address(counter).rpartition(":")[2]
    refused = counting.run("count", "--metrics-port", port)
    assert refused.returncode == 1
    assert f"cannot serve metrics at 127.0.0.1:{port} (METRICS_HOST, METRICS_PORT" in one_line(refused.stderr)


def test_posts_that_were_sent_twice_are_said_with_their_number(counting: Counting) -> None:
    posts = some_posts(300)
    write(counting.stack, counting.topics.output, records(posts))
    counting.count_here()
    assert "different ids" not in counting.run("popularity").stderr

    write(counting.stack, counting.topics.output, records(posts))
    counting.count_here()
    keys = counting.all_keys()
    assert keys["ids:of"] == {"posts": "600"}
    assert keys["ids"] == pytest.approx(300, rel=0.03)
    said = counting.run("popularity").stderr
    assert said.startswith(f"warning: 600 posts were counted, of only about {keys['ids']} different ids: ")

    assert counting.here("recount")[0] == 0
    recounted = counting.all_keys()
    assert {name: recounted[name] for name in ("ids", "ids:of")} == {name: keys[name] for name in ("ids", "ids:of")}
    assert not [name for name in recounted if name.startswith("rebuild")]


def test_counters_of_before_know_the_ids_of_what_came_since(counting: Counting) -> None:
    counting.write(300)
    counting.count_here()
    counting.redis.delete(f"{counting.prefix}:ids", f"{counting.prefix}:ids:of")
    assert "different ids" not in counting.run("popularity").stderr

    counting.write(40)
    counting.count_here()
    assert counting.all_keys()["ids:of"] == {"posts": "40"}
    assert "different ids" not in counting.run("popularity").stderr
