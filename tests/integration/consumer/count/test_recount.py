import json
from collections.abc import Callable, Iterator, Mapping

import pytest
from kafka import KafkaAdminClient, TopicPartition

from consumer.count.read import Chunk, Reader
from consumer.count.switch import Rebuild
from producer.base.errors import CommandError
from tests.integration.consumer.count.conftest import Counting


def test_a_counter_changed_by_hand_is_found_and_recounted_while_count_runs(counting: Counting) -> None:
    counting.write(80)
    counter = counting.start()
    counting.wait_for(80)
    right = counting.all_keys()
    counting.redis.hincrby(f"{counting.prefix}:posts:newyork", "bridge", 5)
    counting.redis.hdel(f"{counting.prefix}:hours:london", next(iter(right["hours:london"])))
    counting.redis.sadd(f"{counting.prefix}:cities", "atlantis")
    counting.redis.hset(f"{counting.prefix}:sentiment:atlantis", "bridge:n", 1)

    found = counting.run("verify")
    assert found.returncode == 1, found.stderr
    *differences, last = found.stdout.splitlines()
    was = int(right["posts:newyork"]["bridge"])
    field, times = next(iter(right["hours:london"].items()))
    assert sorted(differences) == [
        f"hours:london {field}: Redis has 0, the topic {times}",
        f"posts:newyork bridge: Redis has {was + 5}, the topic {was}",
        "sentiment:atlantis bridge:n: Redis has 1, the topic 0",
    ]
    assert last == f"3 counters differ from the 80 posts of {counting.topics.output}; `recount` rebuilds them"

    recounted = counting.run("recount")
    assert recounted.returncode == 0, recounted.stderr
    assert recounted.stdout == (f"recounted 80 labelled posts of {counting.topics.output} under {counting.prefix}\n")
    keys = counting.all_keys()
    assert keys.pop("recounted")
    assert keys == right  # nothing of the rebuilding and of Atlantis is left
    counting.write(30)
    counting.wait_for(110)
    assert counter.end() == 0
    counting.assert_equal_to_a_recount(110)


def test_recount_while_posts_keep_coming_loses_none(counting: Counting) -> None:
    counting.write(2_000)
    counter = counting.start()
    counter.wait_for_output("counted posts=")
    for number in range(3):
        recount = counting.start_cli("consumer", "recount", env=counting.env)
        counting.write(200)
        assert recount.wait() == 0, recount.output
        counting.wait_for(2_200 + number * 200)
    assert counter.end() == 0
    counting.assert_equal_to_a_recount(2_600)


def test_what_an_interrupted_recount_left_is_removed(counting: Counting) -> None:
    counting.write(4)
    counting.redis.hset(f"{counting.prefix}:rebuild:offsets", f"{counting.topics.output}:0", 1)
    counting.redis.sadd(f"{counting.prefix}:rebuild:cities", "newyork")
    counting.redis.hset(f"{counting.prefix}:rebuild:posts:newyork", "bridge", 1)
    assert counting.here("recount")[0] == 0
    assert not [key for key in counting.all_keys() if key.startswith("rebuild")]
    counting.assert_equal_to_a_recount(4)


def another_begins(counting: Counting) -> None:
    Rebuild(counting.redis, counting.prefix).begin()


def another_runs_to_its_end(counting: Counting) -> None:
    assert counting.run("recount").returncode == 0


@pytest.mark.parametrize("other", [another_begins, another_runs_to_its_end])
def test_a_recount_whose_counters_another_took_changes_nothing(
    counting: Counting,
    monkeypatch: pytest.MonkeyPatch,
    other: Callable[[Counting], None],
) -> None:
    counting.write(20)
    counting.count_here()
    read_whole = Reader.read_whole

    def read_whole_then_other(reader: Reader, until: Mapping[int, int], doing: str) -> Iterator[Chunk]:
        yield from read_whole(reader, until, doing)
        other(counting)  # all is rebuilt, nothing is switched yet

    with monkeypatch.context() as patch:
        patch.setattr(Reader, "read_whole", read_whole_then_other)
        with pytest.raises(CommandError, match="^nothing was changed: another recount writes to .* one at a time$"):
            counting.here("recount")

    assert not [key for key in counting.all_keys() if key.startswith("rebuild")]
    counting.assert_equal_to_a_recount(20)


def test_a_topic_that_lost_its_beginning_is_recounted_only_by_force(
    counting: Counting, admin: KafkaAdminClient
) -> None:
    topic = counting.topics.output
    counting.write(20)
    counting.count_here()
    keys = counting.all_keys()
    admin.delete_records({TopicPartition(topic, 1): 4})

    refused = counting.run("recount")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1] == (
        f"python -m consumer recount: {topic} no longer begins at its first record (partition: first offset {{1: 4}}): "
        "a recount would forget what expired; --force does it all the same"
    )
    assert counting.all_keys() == keys
    verified = counting.run("verify")
    assert verified.returncode == 1  # 4 posts more are in Redis than in the topic
    assert "no longer begins at its first record" in verified.stderr

    forced = counting.run("recount", "--force")
    assert forced.returncode == 0, forced.stderr
    assert "recounted 16 labelled posts" in forced.stdout
    counting.assert_equal_to_a_recount(16)


def test_posts_that_expired_uncounted_are_passed_over_with_a_warning(
    counting: Counting, admin: KafkaAdminClient
) -> None:
    topic = counting.topics.output
    counting.write(10)
    counting.count_here()
    counting.write(20)
    admin.delete_records({TopicPartition(topic, 0): 12})
    done = counting.run("count", "--stop-at-end", "--log-format", "json")
    assert done.returncode == 0, done.stderr
    warnings = [line for line in map(json.loads, done.stderr.splitlines()) if "expired" in line["message"]]
    assert {line["level"] for line in warnings} == {"warning"}
    assert [(line["partition"], line["stored"], line["earliest"], line["passed"]) for line in warnings] == [
        (0, 5, 12, 7),
    ]
    assert counting.counted() == 30 - 7


@pytest.mark.parametrize(
    ("stored", "said"),
    [({}, "nothing of "), ({"0": "999"}, "the stored offsets lie beyond the end of ")],
    ids=["nothing counted", "beyond the end"],
)
def test_verify_says_what_cannot_be_compared(counting: Counting, stored: dict[str, str], said: str) -> None:
    for partition, offset in stored.items():
        counting.redis.hset(f"{counting.prefix}:offsets", f"{counting.topics.output}:{partition}", offset)
    refused = counting.run("verify")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith(f"python -m consumer verify: {said}{counting.topics.output}")
    assert "Traceback" not in refused.stderr


def test_count_does_not_wait_for_records_that_the_topic_has_lost(counting: Counting) -> None:
    counting.redis.hset(f"{counting.prefix}:offsets", f"{counting.topics.output}:0", "999")
    refused = counting.run("count")
    assert refused.returncode == 1
    assert "offset 999" in refused.stderr.splitlines()[-1]
    assert "recount` starts over" in refused.stderr.splitlines()[-1]


def test_popularity_prints_what_was_counted(counting: Counting) -> None:
    counting.write(80)
    counting.count_here()
    table = counting.run("popularity", "--city", "newyork")
    assert table.returncode == 0, table.stderr
    assert table.stdout.startswith("newyork: 20 posts, 15 classified, 5 not classified")
    figures = json.loads(counting.run("popularity", "--json").stdout)
    assert [(city["city"], city["posts"]) for city in figures] == [
        (city, 20) for city in ("london", "newyork", "sydney", "são paulo")
    ]
    both = counting.run("popularity", "--json", "--csv")
    assert (both.returncode, both.stderr) == (
        2,
        "python -m consumer popularity: --json and --csv exclude each other\n",
    )
