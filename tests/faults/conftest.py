"""A fresh group of three workers on six partitions, and a seed that is printed."""

import os
import random

import pytest

from deploy.local.stack import Stack
from tests.conftest import MakeTopics, StartCli
from tests.faults.pool import Pool


@pytest.fixture
def seed() -> int:
    """Anew for each run; FAULTS_SEED repeats one."""
    return int(os.environ.get("FAULTS_SEED") or random.randrange(1_000_000))


@pytest.fixture
def pool(stack: Stack, make_topics: MakeTopics, start_cli: StartCli) -> Pool:
    """Not started yet."""
    return Pool(stack, make_topics(6), start_cli)
