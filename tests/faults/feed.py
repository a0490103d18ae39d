"""Load: posts that keep coming while faults happen, one in twenty of them poison."""

import random
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaTimeoutError

from deploy.local.stack import Stack
from producer.post import Post
from tests.conftest import Topics, wait_until
from tests.light import COLOURS
from tests.wire import picture

AT_LEAST = 2_400
"""Posts of every scenario with the light encoder."""
POISON = 0.05
POISONS = (b"no picture at all", picture("red", kind="JPEG", size=64)[:400], b"{ no json")
PICTURES = tuple(picture(colour) for colour in (*COLOURS, (90, 100, 90)))
CITIES = ("london", "newyork", "sydney", "atlantis")
"""The last one has no time zone."""
BEGINNING = datetime(2017, 3, 1, tzinfo=UTC)
CAPTIONS = (None, "a green place", "so blue, so lovely", "nothing to see")
LAST = "the good one that must come out"


class Feed:
    """Writes posts round robin to the partitions, from `start` to `finish` in a thread; knows where it sent which.

    Args:
        stack: whose broker.
        topics: whose input.
        seed: of pictures, captions and poison; printed.
        per_second: about how many posts a second.
        at_least: how many posts `finish` waits for.
        pictures: of the good posts.
    """

    def __init__(
        self,
        stack: Stack,
        topics: Topics,
        seed: int,
        per_second: int = 120,
        at_least: int = AT_LEAST,
        pictures: Sequence[bytes] = PICTURES,
    ) -> None:
        print(f"seed {seed}")
        self.sent: dict[str, int] = {}  # post_id -> partition
        self.poison: set[str] = set()
        self._at_least = at_least
        self._pictures = pictures
        self._topics = topics
        self._random = random.Random(seed)
        self._chunk = max(1, per_second // 10)
        self._every = self._chunk / per_second  # seconds
        self._producer = KafkaProducer(
            bootstrap_servers=stack.broker.address, linger_ms=5, reconnect_backoff_max_ms=1_000
        )
        self._futures: deque[Any] = deque()  # in the order of sending, without those that have arrived in front
        self._finish = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def write(self, number: int, poison: float = POISON, poisons: Sequence[bytes] = POISONS) -> None:
        """Send so many posts; each is poison, one of these, with this probability."""
        for _ in range(number):
            post_id = str(len(self.sent))
            value = self._random.choice(self._pictures)
            if self._random.random() < poison:
                self.poison.add(post_id)
                value = self._random.choice(poisons)
            self._send(post_id, value, self._random.choice(CAPTIONS))

    def finish(self) -> None:
        """Go on until there are enough posts, then stop, and wait until all are in the topic."""
        enough = self._at_least
        wait_until(lambda: len(self.sent) >= enough or not self._thread.is_alive(), what=f"{enough} posts written")
        self._stop()
        if self._failure:
            raise self._failure
        self.flush()

    def last(self) -> None:
        """Write the good post that every scenario ends with."""
        self._send(LAST, self._pictures[0], None)
        self.flush()

    def flush(self) -> None:
        """Wait until all that was sent is in the topic."""
        for future in self._futures:
            future.get(timeout=130)
        self._futures.clear()

    def start(self) -> None:
        """Begin to write beside the test."""
        self._thread.start()

    def close(self) -> None:
        """Stop writing and close the producer."""
        self._stop()
        with suppress(KafkaTimeoutError):  # a test that failed while the broker was away
            self._producer.close(timeout=5)

    def _stop(self) -> None:
        self._finish.set()
        if self._thread.is_alive():
            self._thread.join(130)

    def _send(self, post_id: str, value: bytes, caption: str | None) -> None:
        number = len(self.sent)
        partition = number % self._topics.partitions
        created_at = None if number % 7 == 0 else BEGINNING + number * timedelta(minutes=11)
        city = CITIES[number % 5 % 4]  # not in step with the partitions
        key, value, headers = Post(post_id, city, value, caption, created_at).to_record()
        self._futures.append(self._producer.send(self._topics.input, value, key, headers, partition))
        self.sent[post_id] = partition
        while self._futures and self._futures[0].succeeded():
            self._futures.popleft()

    def _run(self) -> None:
        try:
            due = time.monotonic()
            while not self._finish.wait(max(0.0, due - time.monotonic())):
                self.write(self._chunk)
                due += self._every
        except Exception as error:
            self._failure = error


@contextmanager
def feeding(stack: Stack, topics: Topics, seed: int, per_second: int = 120) -> Iterator[Feed]:
    """A feed that writes beside the block."""
    with closing(Feed(stack, topics, seed, per_second)) as feed:
        feed.start()
        yield feed
