"""The latest labelled posts, a bounded number of them and of bytes, and how the stream is doing. Thread-safe."""

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass
from datetime import UTC, datetime

from consumer.count.counters import NOT_CLASSIFIED
from consumer.labeled_post import LabeledPost
from consumer.record import SourceRecord

MOST_CHOICES = 500
"""Cities that a filter offers."""
RATE_OVER = 5
"""Seconds that posts/s is taken over."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A labelled post, and where its record lies in the labelled topic.

    Attributes:
        value: the record's value, as it is.
        number: counts the posts that this board has read; 0 for one that was looked up.
    """

    partition: int
    offset: int
    post: LabeledPost
    value: bytes
    number: int = 0


@dataclass(frozen=True, slots=True)
class Filter:
    """Which posts are shown; None is any.

    Attributes:
        place: a category, or `NOT_CLASSIFIED`.
        by: what decided, ``image`` or ``ensemble``.
    """

    city: str | None = None
    place: str | None = None
    by: str | None = None

    def takes(self, post: LabeledPost) -> bool:
        """Whether a post is shown."""
        return (
            (self.city is None or post.city == self.city)
            and (self.place is None or (post.place or NOT_CLASSIFIED) == self.place)
            and (self.by is None or post.decided_by == self.by)
        )


@dataclass(frozen=True, slots=True)
class Status:
    """How the stream is doing.

    Attributes:
        trouble: what is wrong, as a sentence; None when nothing is.
        rate: posts per second, over the last seconds.
        age: seconds since the newest post was labelled; None without one.
        kept: posts on the wall.
    """

    trouble: str | None
    rate: float
    age: float | None
    kept: int


class Wall:
    """Filled by the reader's thread, looked at by the pages."""

    def __init__(self, posts: int, size: int) -> None:
        """Begin empty.

        Args:
            posts: most posts that are kept.
            size: most bytes of their records.
        """
        self._lock = threading.Lock()
        self._posts: deque[Shown] = deque()
        self._of: dict[SourceRecord, Shown] = {}
        self._most, self._most_bytes, self._bytes = posts, size, 0
        self._number = 0
        self._newest: datetime | None = None
        self._arrived: deque[tuple[int, int]] = deque(maxlen=RATE_OVER + 1)  # second, posts read in it
        self._trouble: str | None = "The board is still connecting to the broker."

    def add(self, partition: int, offset: int, post: LabeledPost, value: bytes) -> None:
        """Put a post on the wall; the oldest ones leave it."""
        with self._lock:
            self._number += 1
            shown = self._of[post.source] = Shown(partition, offset, post, value, self._number)
            self._posts.append(shown)
            self._bytes += len(value)
            while len(self._posts) > self._most or self._bytes > self._most_bytes:
                left = self._posts.popleft()
                self._bytes -= len(left.value)
                if self._of[left.post.source] is left:  # it may have been labelled again since
                    del self._of[left.post.source]
            self._newest = max(self._newest, post.labeled_at) if self._newest else post.labeled_at
            second = int(time.monotonic())
            before = self._arrived.pop()[1] if self._arrived and self._arrived[-1][0] == second else 0
            self._arrived.append((second, before + 1))

    def say(self, trouble: str | None) -> None:
        """Set what is wrong with the stream; None: nothing is."""
        self._trouble = trouble

    def latest(self, wanted: Filter, limit: int, after: int = 0) -> tuple[list[Shown], int]:
        """The newest posts that a filter takes, newest first, and the number of the newest post of all.

        Args:
            wanted: the filter.
            limit: most posts.
            after: only posts with a higher number.
        """
        found: list[Shown] = []
        with self._lock:
            for shown in reversed(self._posts):
                if shown.number <= after or len(found) == limit:
                    break
                if wanted.takes(shown.post):
                    found.append(shown)
            return found, self._number

    def find(self, partition: int, offset: int) -> Shown | None:
        """The post of a record of the labelled topic, if it is on the wall."""
        with self._lock:
            return next((s for s in reversed(self._posts) if s.partition == partition and s.offset == offset), None)

    def label_of(self, source: SourceRecord) -> Shown | None:
        """The label of the post whose own record lies there, if it is on the wall; the latest of several."""
        with self._lock:
            return self._of.get(source)

    def choices(self) -> tuple[list[str], list[str]]:
        """Cities and places of the posts on the wall, in order; of many those that most posts have."""
        with self._lock:
            posts = list(self._posts)
        cities = Counter(s.post.city for s in posts)
        places = {s.post.place for s in posts if s.post.place}
        return sorted(city for city, _ in cities.most_common(MOST_CHOICES)), sorted(places)

    def status(self) -> Status:
        """How the stream is doing, now."""
        with self._lock:
            now = int(time.monotonic())
            rate = sum(posts for second, posts in self._arrived if now - RATE_OVER <= second < now) / RATE_OVER
            age = max(0.0, (datetime.now(UTC) - self._newest).total_seconds()) if self._newest else None
            return Status(self._trouble, rate, age, len(self._posts))
