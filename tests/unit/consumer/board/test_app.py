"""The pages without a server: what every answer carries, and what is said when a picture or caption does not come."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from consumer.board import app as module
from consumer.board import cities
from consumer.board.album import Picture
from consumer.board.app import HEADERS
from consumer.board.cities import Cities, Figures
from consumer.board.fetch import Away, Gone
from consumer.board.settings import BoardSettings
from consumer.count.counters import tally
from consumer.count.snapshot import Counters
from producer.base.settings import load
from tests.labels import labeled
from tests.unit.consumer.board.pages import ask, board

AWAY = "The broker does not answer; trying again."


@pytest.mark.parametrize(
    ("path", "host", "status"),
    [
        ("/", "127.0.0.1", 200),
        ("/events", "127.0.0.1", 200),
        ("/", "evil.example", 400),
        ("/post/0/" + "9" * 5_000, "127.0.0.1", 404),
        ("/picture/posts/0/" + "9" * 19, "127.0.0.1", 410),
        ("/cities", "127.0.0.1", 500),
    ],
)
def test_every_answer_carries_the_policy(path: str, host: str, status: int) -> None:
    def broken() -> Figures:
        raise ZeroDivisionError

    got, headers, _ = ask(board(Gone("x"), broken), path, host)
    assert got == status
    assert headers.items() >= HEADERS.items()


@pytest.mark.parametrize("taken_off", [True, False])
@pytest.mark.parametrize("path", ["/", "/post/0/0", "/cities", "/nowhere", "/events", "/cities/figures"])
def test_below_a_path_every_address_of_a_page_begins_with_it(path: str, taken_off: bool) -> None:
    app = board(Gone("x"), Figures, "--root-path", "/board")
    html = ask(app, path if taken_off else f"/board{path}")[2].replace('\\"', '"')
    addresses = re.findall(r'(?:href|src|action|data-src)="([^"#]*)', html)
    assert [each for each in addresses if each and not each.startswith("/board/")] == []


def test_events_ask_a_proxy_not_to_hold_them_back() -> None:
    assert ask(board(), "/events")[1]["x-accel-buffering"] == "no"


@pytest.mark.parametrize(
    ("answer", "says", "asks_again"),
    [
        (Picture(b"x", "a walk"), "a walk", False),
        (Picture(b"x", None), "No caption.", False),
        (Gone("x"), "The caption has expired.", False),
        (Away(AWAY), AWAY, True),
        (None, "The caption is being fetched.", True),
    ],
    ids=["there", "none", "expired", "broker away", "late"],
)
def test_a_posts_page_says_why_there_is_no_caption(
    monkeypatch: pytest.MonkeyPatch, answer: Picture | Exception | None, says: str, asks_again: bool
) -> None:
    monkeypatch.setattr(module, "TEXT_WAIT", 0.05)
    status, _, html = ask(board(answer), "/post/0/0")
    found = re.search(r'<p class="caption full"([^>]*)>([^<]*)</p>', html)
    assert status == 200
    assert found
    assert found[2] == says
    assert ("data-src=" in found[1]) == asks_again


@pytest.mark.parametrize("path", ["/picture/posts/0/1?post=x", "/caption/posts/0/1?post=x", "/post/0/1"])
def test_what_cannot_be_fetched_now_says_why(path: str) -> None:
    status, _, text = ask(board(Away("The board may not read the topic posts; trying again.")), path)
    assert status == 503
    assert "The board may not read the topic posts; trying again." in text


def test_the_figures_come_with_the_header_of_their_page() -> None:
    told = json.loads(ask(board(), "/cities/figures?city=london")[2])
    assert re.fullmatch(r"0\.\d posts/s", told["rate"])  # of one post, now or a second ago
    assert told["age"].startswith("newest ")
    assert "Nothing is counted of london" in told["figures"]


def many(cities: int) -> Figures:
    """Of so many cities with one post, and one with two."""
    counted = tally([labeled(city=f"city {n:05d}") for n in range(cities)] + [labeled(city="zürich")] * 2, {})
    return Figures.of(Counters.of(counted, "x"))


def links(html: str) -> list[str]:
    return re.findall(r'href="/cities\?([^"]*)"', html)


def test_many_cities_are_named_page_by_page_those_with_the_most_posts_first() -> None:
    figures = many(250)
    first, second, last = (ask(board(figures=lambda: figures), f"/cities?page={number}")[2] for number in (1, 2, 9))
    assert links(first) == [*(f"city=city%20{n:05d}" for n in range(99)), "city=z%C3%BCrich", "page=2"]
    assert links(second)[:2] == ["city=city%2000099", "city=city%2000100"]
    assert links(second)[-2:] == ["page=1", "page=3"]
    assert links(last)[-1] == "page=2"
    assert "Page 3 of 3" in last
    assert "<h2>city 00199</h2>" in last


def test_a_citys_page_names_the_cities_around_it() -> None:
    figures = many(250)
    html = ask(board(figures=lambda: figures), "/cities?city=city%2000120")[2]
    assert "<h2>city 00120</h2>" in html
    assert 'href="/cities?city=city%2000120" aria-current="true"' in html
    assert "Page 2 of 3" in html
    assert "Nothing is counted of atlantis" in ask(board(figures=lambda: figures), "/cities?city=atlantis")[2]


@pytest.mark.parametrize("number", ["0", "-1", "x", "9" * 5_000, ""])
def test_a_page_that_is_no_number_is_the_first(number: str) -> None:
    figures = many(250)
    assert "Page 1 of 3" in ask(board(figures=lambda: figures), f"/cities?page={number}")[2]


def test_few_cities_are_one_page() -> None:
    figures = many(99)
    html = ask(board(figures=lambda: figures), "/cities")[2]
    assert len(links(html)) == 100
    assert "Page 1" not in html


def test_a_hundred_thousand_cities_are_a_small_page() -> None:
    posts = {f"city {n}": {"bridge": 1} for n in range(100_000)}
    figures = Figures.of(replace(Counters.of(tally([], {}), "x"), posts=posts))
    assert len(ask(board(figures=lambda: figures), "/cities?page=500")[2]) < 50_000


def test_figures_that_take_long_to_read_are_read_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    now, read = 0.0, list[float]()

    def slowly(*arguments: Any, **named: Any) -> Counters:
        nonlocal now
        read.append(now)
        now += 3.0
        return Counters.of(tally([labeled()], {}), "x")

    monkeypatch.setattr(cities, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(Counters, "read", slowly)
    shown = Cities(load(BoardSettings, "board", ()))
    for _ in range(60):
        shown.figures()
        now += 1.0
    assert read == [0.0, 34.0]
