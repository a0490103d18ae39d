"""What is on its way to the broker: bounded, and settled in order, so that a replay always knows how far it is."""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from kafka.errors import KafkaError, MessageSizeTooLargeError

from producer.dataset.entry import Refused
from producer.dataset.notices import Notices
from producer.post import Post

MAX_POSTS = 1000
MAX_BYTES = 64 * 1024 * 1024
"""How much may be in flight: kafka-python's producer has no memory bound (consumer/kafka/README.md, fact 14)."""


class Sent(Protocol):
    """The future of a send, as kafka-python has it."""

    is_done: bool
    exception: BaseException | None

    def get(self, timeout: float | None = None) -> Any:
        """Wait for the broker's answer, at most `timeout` seconds; raises when there is none or it is an error."""


@dataclass(slots=True)
class Tally:
    """How far a replay came.

    Attributes:
        sent: posts that the broker acknowledged.
        failed: posts that cannot be sent; each was named.
        sent_bytes: of the acknowledged pictures.
        last: ID of the last post up to which every post is acknowledged or named.
        ended_by: what ended the replay early: the broker was lost, or the dataset cannot be read on.
    """

    sent: int = 0
    failed: int = 0
    sent_bytes: int = 0
    last: str | None = None
    ended_by: Exception | None = None


@dataclass(slots=True)
class InFlight:
    """Posts on their way, settled strictly in order: so `Tally.last` has no gap before it.

    Attributes:
        tally: is kept up to date.
        failures: why posts failed; the first of each kind is named.
        lost: why a send failed; that post and all behind it stay unsettled. Whatever the error is, it ends the replay:
            when the broker refuses one batch, every batch that waits behind it fails too
            (consumer/kafka/README.md, fact 33), so it would not be that post's own failure.
    """

    tally: Tally
    lost: str | None = None
    _waiting: deque[tuple[str | None, int, Sent | Refused]] = field(default_factory=deque)
    failures: Notices = field(default_factory=Notices)
    _bytes: int = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether to wait before the next post."""
        return len(self._waiting) >= MAX_POSTS or self._bytes >= MAX_BYTES

    def send(self, post: Post | Refused, send: Callable[[Post], Sent]) -> None:
        """Send a post; one that cannot be sent takes its place in the order all the same."""
        if isinstance(post, Refused):
            self._waiting.append((post.post_id, 0, post))
            return
        try:
            outcome: Sent | Refused = send(post)
        except MessageSizeTooLargeError as error:  # with its key and headers, in the client: the next may well pass
            outcome = Refused(post.post_id, f"post {post.post_id!r}: {error}", "larger than a record may be")
        except KafkaError as error:
            self.lost = f"post {post.post_id!r}: {error}"
            return
        self._waiting.append((post.post_id, len(post.picture), outcome))
        self._bytes += len(post.picture)

    def settle(self, wait: float = 0.0) -> None:
        """Settle what is done at the front, after waiting up to `wait` seconds for the first."""
        while self._waiting and not self.lost:
            post_id, size, outcome = self._waiting[0]
            if not isinstance(outcome, Refused):
                if not outcome.is_done and wait > 0:
                    with suppress(Exception):  # an error is looked at below; a timeout is only our waiting's end
                        outcome.get(timeout=wait)
                if not outcome.is_done:
                    return
                if outcome.exception is not None:
                    self.lost = f"post {post_id!r}: {outcome.exception}"
                    return
            self._waiting.popleft()
            self._bytes -= size
            wait = 0.0
            self._count(post_id, size, outcome)

    def _count(self, post_id: str | None, size: int, outcome: Sent | Refused) -> None:
        if isinstance(outcome, Refused):
            self.tally.failed += 1
            self.failures.add(f"failed: {outcome.kind}", f"failed: {outcome.reason}")
        else:
            self.tally.sent += 1
            self.tally.sent_bytes += size
        self.tally.last = post_id or self.tally.last
