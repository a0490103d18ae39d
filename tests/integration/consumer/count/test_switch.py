"""A `recount` that is killed while it puts its counters in place: nobody counts on half of them, nobody shows half."""

import json
import signal
from itertools import count
from pathlib import Path

import pytest

from consumer.count import snapshot as module
from consumer.count.snapshot import Counters, Switching
from tests.conftest import Background, wait_until
from tests.integration.consumer.count.conftest import Counting


def start_held(counting: Counting, number: int, release: Path) -> Background:
    """A `recount` that handles two cities at a step, held before one of them until the file is there."""
    held = ("consumer.count.switch:Rebuild.step", str(number), str(release), "consumer", "recount")
    env = counting.env | {"HOLD_SETS": "consumer.count.switch:STEP=2"}
    return counting.start_cli("tests.integration.hold", *held, env=env)


def is_switching(counting: Counting) -> bool:
    return str(counting.redis.get(f"{counting.prefix}:topic")).startswith("switching:")


def test_a_recount_killed_before_any_step_of_its_switch_is_finished_by_the_next(
    counting: Counting, tmp_path: Path
) -> None:
    counting.write(80)
    counting.count_here()
    right = counting.all_keys()
    held_while_switching = 0
    for number in count(1):
        counting.redis.sadd(f"{counting.prefix}:cities", *(f"atlantis {n}" for n in range(3)))  # it has to go
        for n in range(3):
            counting.redis.hset(f"{counting.prefix}:posts:atlantis {n}", "bridge", 1)
        recount = start_held(counting, number, tmp_path / "never")
        wait_until(lambda: recount.process.poll() is not None or "held" in recount.output, what="its end, or the step")  # noqa: B023
        if "held" not in recount.output:
            break
        assert recount.end(signal.SIGKILL) == -signal.SIGKILL
        if is_switching(counting):
            held_while_switching += 1
            assert not counting.redis.exists(f"{counting.prefix}:offsets")
            with pytest.raises(Switching):
                Counters.read(counting.redis, counting.prefix, patience=0)
        else:
            assert "posts:atlantis 2" in counting.all_keys()  # nothing has changed yet
        assert counting.here("recount")[0] == 0
        keys = counting.all_keys()
        assert keys.pop("recounted")
        assert keys == right
    assert recount.wait() == 0
    assert held_while_switching >= 5  # 7 cities have to go, 4 to be put in place, two at a time
    counting.assert_equal_to_a_recount(80)


def test_count_waits_for_a_recount_that_puts_its_counters_in_place(counting: Counting, tmp_path: Path) -> None:
    counting.write(40)
    counting.count_here()
    release = tmp_path / "release"
    recount = start_held(counting, 3, release)  # forgotten, begun, not gone on with
    recount.wait_for_output("held")
    assert is_switching(counting)
    counter = counting.start()
    counter.wait_for_output("waiting: a recount is putting new counters in place")
    counting.write(20)
    popularity = counting.start_cli("consumer", "popularity", "--json", env=counting.env)
    popularity.wait_for_output("waiting: a recount is putting new counters in place")
    release.touch()
    assert recount.wait() == 0, recount.output
    counting.wait_for(60)
    assert popularity.wait() == 0
    posts = sum(city["posts"] for city in json.loads(popularity.output[popularity.output.index("[\n") :]))
    assert 40 <= posts <= 60
    assert counter.output.count("waiting: ") == 1
    assert counter.end() == 0
    counting.assert_equal_to_a_recount(60)


def test_who_waits_for_a_recount_that_was_killed_ends_with_one_line(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting.write(4)
    counting.count_here()
    counting.redis.set(f"{counting.prefix}:topic", "switching:x")
    monkeypatch.setattr(module, "SWITCH_LIMIT", 0.5)
    for waits in (counting.count_here, lambda: Counters.read(counting.redis, counting.prefix)):
        with pytest.raises(Switching, match="if it was interrupted, `python -m consumer recount` goes on with it$"):
            waits()


def test_rebuilt_counters_that_are_gone_are_rebuilt_and_put_in_place(counting: Counting) -> None:
    """As a `recount` of an earlier version leaves it, that was killed when it began where another had been killed."""
    counting.write(20)
    counting.count_here()
    right = counting.all_keys()
    counting.redis.set(f"{counting.prefix}:topic", f"switching:{right['topic']}")
    counting.redis.delete(f"{counting.prefix}:offsets")
    assert counting.here("recount")[0] == 0
    keys = counting.all_keys()
    assert keys.pop("recounted")
    assert keys == right
