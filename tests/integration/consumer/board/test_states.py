"""No topic, no broker, a broker that restarts, the end: each is said in words, and the board goes on by itself."""

import time
import uuid

from kafka import KafkaProducer
from playwright.sync_api import Page, expect

from deploy.local.stack import Stack
from tests.conftest import RunCli, StartCli
from tests.integration.consumer.board.conftest import Board, Feed, address, environment, make_topics, wait_for_pictures


def test_a_topic_that_comes_later_is_shown_and_a_stop_ends_open_pages(
    page: Page, stack: Stack, producer: KafkaProducer, start_cli: StartCli
) -> None:
    feed = Feed(f"board-{uuid.uuid4().hex[:8]}", producer)
    started = time.monotonic()
    running = start_cli("consumer", "board", "--port", "0", env=environment(feed.topic, "{none}"))
    url = address(running)
    print(f"the board answers {time.monotonic() - started:.1f} s after its start")
    page.goto(url)
    expect(page.locator("#notice")).to_have_text(
        f"The topic {feed.labeled} does not exist yet; “python -m producer topics” creates it."
    )
    make_topics(stack, feed.topic)
    expect(page.locator("#notice")).to_be_hidden()
    expect(page.get_by_text("No post has been labelled yet.")).to_be_visible()
    feed.show(1, caption="no captions unless asked for")
    expect(page.locator(".card")).to_have_count(1)
    assert page.get_by_text("no captions").count() == 0

    assert running.end() == 0
    assert "Traceback" not in running.output
    expect(page.locator("#notice")).to_have_text("The board does not answer. This page keeps trying.")
    expect(page.locator(".card")).to_have_count(1)


def test_the_wall_goes_on_after_a_restart_of_the_broker(page: Page, board: Board, stack: Stack) -> None:
    board.feed.show(2, city="restart")
    page.goto(f"{board.url}/?city=restart")
    expect(page.locator(".card")).to_have_count(2)
    stack.broker.kill()
    try:
        expect(page.locator("#notice")).to_have_text(
            f"The broker at {stack.broker.address} does not answer. The board keeps trying."
        )
        expect(page.locator(".card")).to_have_count(2)
        left = page.request.get(f"{board.url}/post/1/999999")  # on no wall
        assert (left.status, "The broker does not answer" in left.text()) == (503, True)
    finally:
        stack.broker.restart()
    back = time.monotonic()
    expect(page.locator("#notice")).to_be_hidden(timeout=30_000)
    board.feed.show(2, city="restart")
    expect(page.locator(".card")).to_have_count(4, timeout=30_000)
    wait_for_pictures(page, 4)
    print(f"new posts and pictures {time.monotonic() - back:.1f} s after the broker was back")


def test_without_a_broker_it_ends_with_one_line(run_cli: RunCli) -> None:
    nobody = {"PLACESTREAM_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    ended = run_cli("consumer", "board", "--port", "0", "--startup-timeout", "1", "--log-level", "error", env=nobody)
    assert ended.returncode == 1
    assert ended.stderr.startswith("python -m consumer board: no Kafka broker answers at 127.0.0.1:1 (tried for 1 s")
    assert ended.stderr.count("\n") == 1
