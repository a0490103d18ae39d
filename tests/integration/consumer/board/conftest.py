"""A board on fresh topics, posts that are labelled without a model, and a browser that may complain about nothing."""

import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from PIL import Image
from playwright.sync_api import Browser, Page

from deploy.local.stack import Stack
from producer.post import Post
from producer.topics import CreateSettings, create_topics
from tests.conftest import PATIENCE, Background, background, clean_environment, wait_until
from tests.labels import labeled_value

KEEP = 300
"""Posts that the board of the tests keeps."""
BOTH: dict[str, Any] = {
    "decided_by": "ensemble",
    "place": "yard",
    "confidence": 0.45,
    "top": [["yard", 0.45], ["alley", 0.3]],
    "image": {"place": "alley", "confidence": 0.5, "top": [["alley", 0.5], ["yard", 0.2]]},
    "text": {"place": "yard", "confidence": 0.7, "top": [["yard", 0.7], ["alley", 0.1]]},
}
"""A label that picture and caption decided together."""


@dataclass(slots=True)
class Feed:
    """Sends posts, and what a worker would have made of them, to fresh topics."""

    topic: str
    producer: KafkaProducer
    sent: int = 0
    sources: list[dict[str, Any]] = field(default_factory=list)

    @property
    def labeled(self) -> str:
        """The topic of the labels."""
        return f"{self.topic}-labeled"

    def posts(self, count: int, caption: str = "", city: str = "london") -> list[str]:
        """Send posts to the input topic; their ids."""
        futures = {}
        for _ in range(count):
            self.sent += 1
            picture = Image.new("RGB", (60, 40), (self.sent * 37 % 256, 90, 160))
            data = io.BytesIO()
            picture.save(data, "JPEG")
            post = Post(f"post-{self.sent}", city, data.getvalue(), caption or None)
            key, value, headers = post.to_record()
            futures[post.post_id] = self.producer.send(
                self.topic, key=key, value=value, headers=headers, partition=self.sent % 2
            )
        self.producer.flush()
        for post_id, future in futures.items():
            sent = future.get(timeout=20)
            source = {"topic": self.topic, "partition": sent.partition, "offset": sent.offset}
            self.sources.append({"post_id": post_id, "source": source})
        return list(futures)

    def label(self, sources: Sequence[dict[str, Any]], **changes: Any) -> list[tuple[int, int]]:
        """Send a label for each of these posts; where the labels lie."""
        futures = []
        common = labeled_value(**{"labeled_at": datetime.now(UTC).isoformat()} | changes)
        for source in sources:
            value = json.dumps(common | source).encode()
            futures.append(
                self.producer.send(self.labeled, key=b"x", value=value, partition=source["source"]["partition"])
            )
        self.producer.flush()
        return [(sent.partition, sent.offset) for sent in (future.get(timeout=20) for future in futures)]

    def show(self, count: int = 1, caption: str = "", **changes: Any) -> list[tuple[int, int]]:
        """Send posts and their labels."""
        self.posts(count, caption, changes.get("city", "london"))
        return self.label(self.sources[-count:], **changes)


@dataclass(frozen=True, slots=True)
class Board:
    """A running board."""

    url: str
    process: Background
    feed: Feed


def make_topics(stack: Stack, name: str, vectors: str | None = None) -> None:
    """The three topics of a board, and that of the vectors where one is named."""
    names = {
        "input_topic": name,
        "output_topic": f"{name}-labeled",
        "dead_letter_topic": f"{name}-dlt",
        "vectors_topic": vectors,
    }
    given = {"bootstrap_servers": stack.broker.address, "partitions": 2} | names
    create_topics(CreateSettings.model_validate(given))


def environment(name: str, prefix: str) -> dict[str, str]:
    """The variables that name a board's topics and counters."""
    return {
        "PLACESTREAM_INPUT_TOPIC": name,
        "PLACESTREAM_OUTPUT_TOPIC": f"{name}-labeled",
        "PLACESTREAM_DEAD_LETTER_TOPIC": f"{name}-dlt",
        "PLACESTREAM_COUNTER_PREFIX": prefix,
    }


def address(board: Background) -> str:
    """Where a board is, as it says itself."""
    board.wait_for_output("The board is at ")
    found = re.search(r"The board is at (http://\S+)/ ", board.output)
    assert found
    return found[1]


@pytest.fixture(scope="session")
def producer(stack: Stack) -> Iterator[KafkaProducer]:
    sending = KafkaProducer(bootstrap_servers=stack.broker.address, allow_auto_create_topics=False, linger_ms=5)
    yield sending
    sending.close()


@pytest.fixture(scope="package")
def prefix() -> str:
    return "{board-test}"


@pytest.fixture(scope="package")
def board(
    stack: Stack, producer: KafkaProducer, tmp_path_factory: pytest.TempPathFactory, prefix: str
) -> Iterator[Board]:
    """One board for all tests of the package; each test uses a city of its own."""
    feed = Feed(f"board-{datetime.now(UTC):%H%M%S%f}", producer)
    make_topics(stack, feed.topic)
    variables = clean_environment() | stack.environment | environment(feed.topic, prefix)
    with background(tmp_path_factory.mktemp("board"), variables) as start:
        running = start("consumer", "board", "--port", "0", "--captions", "--keep-posts", str(KEEP))
        yield Board(address(running), running, feed)


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """A page of a fresh profile: no error in its scripts, no breach of its policy, nothing from another host."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(1000 * PATIENCE)
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda said: complaints.append(said.text) if _is_complaint(said.type, said.text) else None)
    opened.on("request", lambda asked: None if _is_own(asked.url) else complaints.append(asked.url))
    opened.on("dialog", lambda dialog: complaints.append(dialog.message))
    yield opened
    context.close()
    assert complaints == []


def wait_for_pictures(page: Page, count: int) -> None:
    """Wait until so many pictures are there; Playwright's own waiting needs what the pages' policy forbids."""
    shown = "[...document.images].filter(one => one.naturalWidth === 60).length"
    wait_until(lambda: page.evaluate(shown) == count, what=f"{count} pictures")


def _is_complaint(kind: str, text: str) -> bool:
    """What the browser says of answers like 410 or of a board that is away is no mistake of the page."""
    return kind in ("error", "warning") and "Failed to load resource" not in text


def _is_own(url: str) -> bool:
    return url.startswith("http://127.0.0.1:")
