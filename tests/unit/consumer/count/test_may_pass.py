import pytest
import redis
from redis._parsers import BaseParser
from redis.exceptions import RedisClusterException

from consumer.count.connect import may_pass, what_helps


@pytest.mark.parametrize(
    ("answer", "passes"),
    [
        ("READONLY You can't write against a read only replica.", True),
        ("LOADING Redis is loading the dataset in memory", True),
        ("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", True),
        ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", True),
        ("MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.", True),
        ("NOREPLICAS Not enough good replicas to write.", True),
        ("OOM command not allowed when used memory > 'maxmemory'.", True),
        ("CLUSTERDOWN The cluster is down", True),
        ("TRYAGAIN Multiple keys request during rehashing of slot", True),
        ("NOPERM User x has no permissions to run the 'evalsha' command", False),
        ("WRONGPASS invalid username-password pair or user is disabled.", False),
        ("NOAUTH Authentication required.", False),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", False),
        ("CROSSSLOT Keys in request don't hash to the same slot", False),
        ("ERR unknown command 'EVALSHA'", False),
    ],
)
def test_what_waiting_helps_against_and_what_it_does_not(answer: str, passes: bool) -> None:
    error = BaseParser.parse_error(answer)  # type: ignore[no-untyped-call]
    assert may_pass(error) is passes
    assert bool(what_helps(error)) is passes


@pytest.mark.parametrize(
    "error", [redis.TimeoutError(), ConnectionResetError(), RedisClusterException("no node answers")]
)
def test_a_redis_that_is_away_may_come_back(error: Exception) -> None:
    assert may_pass(error)
