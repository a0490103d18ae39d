"""A post's page, the cities, and what every answer says to a browser."""

import http.client
import json
import re
from typing import Literal
from urllib.parse import urlsplit

import pytest
import redis
from playwright.sync_api import Page, expect

from consumer.count.counters import tally
from consumer.count.store import Store
from consumer.count.zones import load_zones
from consumer.labeled_post import LabeledPost
from deploy.local.stack import Stack
from tests.integration.consumer.board.conftest import BOTH, Board, wait_for_pictures
from tests.integration.contrast import LOW_CONTRAST
from tests.labels import labeled


def test_a_posts_page_shows_who_decided_and_the_record(page: Page, board: Board) -> None:
    ((partition, offset),) = board.feed.show(city="why", caption="mowed\nthe lawn", **BOTH)
    page.goto(f"{board.url}/post/{partition}/{offset}")
    assert page.locator("h1").inner_text() == "yard"
    assert "its best place is alley with 0.50, not above the gate of 0.6" in page.locator("main").inner_text()
    tables = page.locator(".five")
    assert tables.count() == 3
    rows = [
        [row.inner_text().split("\t") for row in tables.nth(number).locator("tbody tr").all()] for number in (0, 1, 2)
    ]
    assert [[(place.strip(), value.strip()) for place, *_, value in table] for table in rows] == [
        [("alley", "0.50"), ("yard", "0.20")],
        [("yard", "0.70"), ("alley", "0.10")],
        [("yard", "0.45"), ("alley", "0.30")],
    ]
    expect(page.locator(".caption")).to_have_text("mowed\nthe lawn")
    record = json.loads(page.locator("pre").inner_text())
    assert LabeledPost.model_validate(record).city == "why"
    wait_for_pictures(page, 1)


def test_a_post_that_left_the_wall_is_read_from_the_topic(page: Page, board: Board) -> None:
    ((partition, offset),) = board.feed.show(city="left the wall")
    board.feed.label(board.feed.sources[-1:] * 400, city="others")
    page.goto(f"{board.url}/?city=others")
    expect(page.locator(".card").first).to_be_visible()
    page.goto(f"{board.url}/post/{partition}/{offset}")
    assert "left the wall" in page.locator(".lead").inner_text()


@pytest.mark.parametrize("path", ["/post/0/999999", "/post/99/0", "/post/0/99999999999999999999", "/nothing"])
def test_what_does_not_exist_is_said(page: Page, board: Board, path: str) -> None:
    answer = page.goto(f"{board.url}{path}")
    assert answer is not None
    assert answer.status == 404
    assert page.locator("h1").inner_text().startswith("No such p")


@pytest.fixture
def counted(stack: Stack, redis_client: redis.Redis, prefix: str) -> None:
    """Two cities; of one place enough captions for a mood."""
    redis_client.delete(*(redis_client.keys(f"{prefix}:*") or ["none"]))
    posts = [
        *(labeled(city="newyork", place="bridge", sentiment=0.8) for _ in range(30)),
        *(labeled(city="newyork", place="art_gallery", sentiment=-0.3) for _ in range(10)),
        *(labeled(city="newyork", place=None) for _ in range(20)),
        *(labeled(city="<b>london</b>", place="bridge") for _ in range(2)),
        *(labeled(city="<b>london</b>", place="yard", sentiment=None) for _ in range(2)),
    ]
    store = Store(redis_client, prefix, "labels", "id")
    assert store.apply(tally(posts, load_zones()), {0: None}, {0: len(posts)}) is None


@pytest.mark.usefixtures("counted")
def test_a_city_has_shares_quotients_mood_and_hours(page: Page, board: Board) -> None:
    page.goto(f"{board.url}/cities?city=newyork")
    assert "60 posts: 40 classified (66.7 %), 20 not classified" in page.locator("main").inner_text()
    cells = [
        [cell.inner_text() for cell in row.locator("th, td").all()] for row in page.locator(".places tbody tr").all()
    ]
    (place, _, share, posts, _, quotient, mood), second = cells
    assert (place, share.split()[:2], posts, quotient, mood.split()) == (
        "bridge",
        ["75.0", "%"],
        "30",
        "1.03 ×",
        ["+0.80", "±", "0.20,", "30"],
    )
    assert second[0] == "art gallery"
    assert second[-1].split() == ["–", "10"], "no mood of ten captions"
    hour = page.locator(".heat tbody tr", has_text="Tue").locator("td").nth(22)
    assert hour.inner_text() == "60", "2017-03-29T02:30Z was Tuesday, 22:30, in New York"
    page.get_by_role("link", name="<b>london</b>").click()
    assert page.locator("h2").inner_text() == "<b>london</b>"
    assert "No local time is known" in page.locator("main").inner_text()


@pytest.mark.usefixtures("counted")
def test_the_cities_are_named_for_a_screen_reader_and_their_header_stays_fresh(page: Page, board: Board) -> None:
    page.goto(f"{board.url}/cities?city=newyork")
    page.evaluate("document.querySelectorAll('.figures span').forEach(each => { each.textContent = 'stale'; })")
    assert page.get_by_role("navigation", name="cities").get_by_role("link").count() == 2
    assert page.get_by_role("navigation", name="cities").locator("[aria-current]").inner_text() == "newyork"
    assert page.get_by_role("region", name="places of newyork").get_by_role("row").count() == 3
    hours = page.get_by_role("region", name="When: posts by weekday and hour, local time")
    assert hours.get_by_role("rowheader").count() == 7
    assert page.locator("#said").get_attribute("role") == "status"
    assert page.locator("#figures .bar:not([aria-hidden]), #figures .lean:not([aria-hidden])").count() == 0, (
        "in words too"
    )
    expect(page.locator("#rate")).to_have_text(re.compile(r"[\d.,]+ posts/s"))
    expect(page.locator("#age")).not_to_have_text("stale")


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_can_be_told_from_their_colours(page: Page, board: Board, scheme: Literal["light", "dark"]) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{board.url}/cities?city=newyork")
    assert page.locator(".mood").count() > 7
    assert page.evaluate(LOW_CONTRAST) == []


@pytest.mark.usefixtures("counted")
def test_without_redis_the_cities_say_so_and_come_back_by_themselves(page: Page, board: Board, stack: Stack) -> None:
    stack.redis.kill()
    try:
        page.goto(f"{board.url}/cities")
        expect(
            page.get_by_text(re.compile(r"No Redis answers at 127\.0\.0\.1:\d+\. This page keeps trying\."))
        ).to_be_visible()
    finally:
        stack.redis.restart()
    expect(page.locator(".places").first).to_be_visible()


def ask(board: Board, method: str = "GET", path: str = "/", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(urlsplit(board.url).netloc, timeout=10)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


@pytest.mark.parametrize(
    "path", ["/", "/cities", "/static/live.js", "/nothing", "/picture/nothing/0/1", "/post/0/" + "9" * 5_000]
)
def test_every_answer_carries_a_strict_policy(board: Board, path: str) -> None:
    headers = ask(board, path=path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8090", "10.0.0.1", ""])
def test_a_page_under_another_name_is_refused(board: Board, host: str) -> None:
    answer = ask(board, Host=host)
    assert answer.status == 400
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("host", ["localhost:8090", "127.0.0.1", "[::1]:8090"])
def test_the_names_of_this_machine_are_known(board: Board, host: str) -> None:
    assert ask(board, Host=host).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/events", "/static/live.js"])
def test_nothing_but_get_is_answered(board: Board, method: str, path: str) -> None:
    assert ask(board, method, path).status == 405
