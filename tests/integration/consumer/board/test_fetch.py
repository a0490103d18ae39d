"""The stage `fetch` against a real broker, as pages ask that are opened one after the other."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from consumer.board.fetch import AHEAD, Fetcher
from consumer.board.settings import BoardSettings
from consumer.kafka.bounded_consumer import build_consumer
from deploy.local.stack import Stack
from tests.conftest import PATIENCE, Topics
from tests.wire import write

CARDS = 48
"""Pictures of a page."""


@pytest.fixture
def fetcher(stack: Stack) -> Iterator[Fetcher]:
    settings = BoardSettings.model_validate({"bootstrap_servers": stack.broker.address})
    fetcher = Fetcher(build_consumer(settings, "placestream-board-pictures", max_partition_fetch_bytes=AHEAD))
    stop = threading.Event()
    thread = threading.Thread(target=fetcher.run, args=(stop,))
    thread.start()
    yield fetcher
    stop.set()
    thread.join(PATIENCE)
    fetcher.close()


def test_every_picture_of_many_pages_comes(stack: Stack, topics: Topics, fetcher: Fetcher) -> None:
    order = random.Random(1)
    write(stack, topics.input, [(b"%d" % number, order.randbytes(15_000), []) for number in range(300)])

    def key(number: int) -> bytes:
        found: bytes = fetcher.ask(topics.input, number % 2, number // 2).result(PATIENCE).key
        return found

    with ThreadPoolExecutor(5) as browser:
        for _ in range(8):
            first = order.randrange(300 - CARDS)
            cards = order.sample(range(first, first + CARDS), CARDS)
            assert list(browser.map(key, cards)) == [b"%d" % number for number in cards]
