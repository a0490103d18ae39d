"""A fresh group of three workers on six partitions, and a seed that is printed."""

import os
import random
from collections.abc import Iterator

import pytest

from deploy.local.redis_server import RedisServer, find_server
from deploy.local.stack import Stack
from tests.conftest import MakeTopics, StartCli
from tests.faults.pool import Pool


@pytest.fixture
def seed() -> int:
    """New for each run; FAULTS_SEED repeats one."""
    return int(os.environ.get("FAULTS_SEED") or random.randrange(1_000_000))


@pytest.fixture(scope="session")
def counters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis that suffers no fault: the labels of every scenario are counted into it."""
    server = RedisServer(tmp_path_factory.mktemp("counters"), find_server(lambda line: None))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def pool(stack: Stack, make_topics: MakeTopics, start_cli: StartCli, counters: RedisServer) -> Pool:
    """Not started yet."""
    return Pool(stack, make_topics(6, vectors=True), start_cli, redis_url=counters.url)
