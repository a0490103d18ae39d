"""The search page without a server and without a model: what is found, what is said, and what a query may be."""

import asyncio
import re
import threading
from collections.abc import Sequence
from html import unescape
from urllib.parse import quote

import numpy as np
import pytest
from starlette.types import ASGIApp

from consumer.board import search as module
from consumer.board.app import HEADERS
from consumer.board.cities import Figures
from consumer.board.fetch import Gone
from consumer.board.index import Index, Kept
from consumer.board.search import MOST_LETTERS, Busy, Search
from consumer.classify.label import Vectors
from consumer.record import SourceRecord
from tests.labels import labeled
from tests.unit.consumer.board.pages import ask, board

ENCODER = "conse/x"
WORDS = {"right": (1.0, 0.0), "up": (0.0, 1.0)}


def post(post_id: str, image: tuple[float, float], text: tuple[float, float] | None = None) -> tuple[Kept, Vectors]:
    of_image, of_text = (None if each is None else np.array(each, np.float32) for each in (image, text))
    assert of_image is not None
    return Kept(post_id, "london", SourceRecord(topic="posts", partition=0, offset=9)), Vectors(of_image, of_text, None)


LABELLED = labeled()
ON_THE_WALL = Kept(LABELLED.post_id, LABELLED.city, LABELLED.source)
"""The post of `board`'s wall."""


def searching(*posts: tuple[Kept, Vectors]) -> Search:
    """What knows two words, and is nowhere near any other."""
    index = Index(ENCODER, 2, 100)
    for kept, vectors in posts:
        index.add(kept, ENCODER, vectors)
    return Search(index, lambda query: np.array(WORDS.get(query, (-0.6, -0.8)), np.float32))


def app(*posts: tuple[Kept, Vectors], flags: tuple[str, ...] = ()) -> ASGIApp:
    return board(Gone("x"), Figures, *flags, search=searching(*posts))


def found(html: str, title: str) -> list[tuple[str, str]]:
    """Names and cosines of the posts below a heading, in order."""
    section = html.partition(f">{title}</h2>")[2].partition("<h2")[0]
    return re.findall(r'<strong>([^<]*)</strong> <span class="sure">([^<]*)</span>', section)


RIGHT, UP = post("a", (1, 0)), post("b", (0, 1), (0.8, 0.6))


def test_words_find_pictures_and_apart_from_them_captions() -> None:
    status, headers, html = ask(app(RIGHT, UP), "/search?q=+right%20")
    assert status == 200
    assert headers.items() >= (HEADERS | {"cache-control": "no-store"}).items()
    assert found(html, "By the picture") == [("a", "1.00"), ("b", "0.00")]
    assert found(html, "By the caption") == [("b", "0.80")]
    assert '<input type="search" name="q" value="right"' in html
    assert "Posts that can be found: 2; by their caption: 1." in html


def test_a_post_on_the_wall_is_shown_with_its_place_and_leads_to_its_page() -> None:
    _, _, html = ask(app((ON_THE_WALL, RIGHT[1]), UP), "/search?q=right")
    assert found(html, "By the picture") == [("bridge", "1.00"), ("b", "0.00")]
    assert re.findall('href="/post/[^"]*"', html) == ['href="/post/0/0"']


def test_more_like_this_leads_from_a_posts_page_to_pictures_like_it() -> None:
    pages = app((ON_THE_WALL, RIGHT[1]), post("like it", (0.8, 0.6)), UP)
    (address,) = re.findall(r'<a class="button" href="([^"]*)">More like this', ask(pages, "/post/0/0")[2])
    status, _, html = ask(pages, unescape(address))
    assert status == 200
    assert found(html, "Pictures that are most like it") == [("like it", "0.80"), ("b", "0.00")]
    assert "<strong>bridge</strong>" in html.partition("<h2>Like this post</h2>")[2].partition("<h2")[0]


def test_a_post_whose_vectors_are_not_kept_offers_nothing_like_it() -> None:
    pages = app(UP)
    assert "More like this" not in ask(pages, "/post/0/0")[2]
    status, _, html = ask(pages, f"/search?city={ON_THE_WALL.city}&like={ON_THE_WALL.post_id}")
    assert status == 404
    assert "The vectors of this post are not kept, or no longer." in html


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("", "Say what to look for, in a few words."),
        ("+%20%0a", "Say what to look for, in a few words."),
        ("x" * (MOST_LETTERS + 1), "At most 200 letters can be looked for; these are 201."),
        ("x" * 50_000, "At most 200 letters can be looked for; these are 50,000."),
    ],
    ids=["none", "blank", "one too many", "far too many"],
)
def test_a_query_of_the_wrong_length_is_said_and_not_searched(query: str, says: str) -> None:
    status, headers, html = ask(app(RIGHT), f"/search?q={query}")
    assert status == 400
    assert headers.items() >= HEADERS.items()
    assert says in html
    assert "<h2" not in html
    assert len(html) < 5_000
    assert ask(app(RIGHT), f"/search?q={'x' * MOST_LETTERS}")[0] == 200


def test_everything_of_others_is_escaped() -> None:
    hostile = '"><script>alert(1)</script>'
    kept = Kept(hostile, hostile, SourceRecord(topic=hostile, partition=0, offset=0))
    pages = app((kept, RIGHT[1]))
    asked = quote(hostile)
    for path in (f"/search?q={asked}", f"/search?city={asked}&like={asked}", f"/search?city={asked}&like=x"):
        html = ask(pages, path)[2]
        assert "alert(1)" not in html or "&lt;script&gt;alert(1)&lt;/script&gt;" in html
        assert "<script>" not in html


@pytest.mark.parametrize("path", ["/search", "/search?q=right", "/search?city=london&like=a"])
def test_below_a_path_every_address_of_the_search_begins_with_it(path: str) -> None:
    html = ask(app(RIGHT, UP, flags=("--root-path", "/board")), f"/board{path}")[2]
    addresses = re.findall(r'(?:href|src|action|data-src)="([^"#]*)', html)
    assert len(addresses) > 5
    assert [each for each in addresses if each and not each.startswith("/board/")] == []


def test_a_search_under_another_name_is_refused() -> None:
    assert ask(app(RIGHT), "/search?q=right", host="evil.example")[0] == 400


def test_without_search_there_is_no_such_page_and_no_link_to_it() -> None:
    assert ask(board(Gone("x")), "/search?q=right")[0] == 404
    for path in ("/", "/post/0/0"):
        assert "/search" not in ask(board(Gone("x")), path)[2]


def test_what_cannot_be_searched_is_said() -> None:
    assert "No vector has come yet" in ask(app(), "/search")[2]
    html = ask(app(), "/search?q=right")[2]
    assert "No picture can be searched yet." in html
    assert "No caption can be searched" in html
    search = searching(RIGHT)
    search.index.add(UP[0], "other/<model>", UP[1])
    search.index.say("The topic post-vectors does not exist yet.")
    html = ask(board(Gone("x"), search=search), "/search")[2]
    assert "Vectors of another encoder are left out, 1 so far (other/&lt;model&gt;)" in html
    assert "The topic post-vectors does not exist yet." in html


def test_captions_are_asked_for_where_they_are_shown() -> None:
    assert 'data-src="/caption/posts/0/9?post=a"' in ask(app(RIGHT), "/search?q=right")[2]
    assert "/caption/" not in ask(app(RIGHT, flags=("--no-captions",)), "/search?q=right")[2]


def test_searches_take_turns_and_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    go_on, at_once = threading.Event(), list[int]()
    running = 0

    def encode(query: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        nonlocal running
        running += 1
        at_once.append(running)
        assert go_on.wait(20)
        running -= 1
        return np.array((1, 0), np.float32)

    async def ask_thrice() -> Sequence[object]:
        search = Search(Index(ENCODER, 2, 1), encode)
        asked = [asyncio.create_task(search.by_words("x")) for _ in range(3)]
        await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        go_on.set()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        await search.by_words("again")
        return answers

    *answered, refused = asyncio.run(ask_thrice())
    assert answered == [([], [])] * 2
    assert isinstance(refused, Busy)
    assert at_once == [1, 1, 1]


def test_too_many_searches_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 0)
    status, _, html = ask(app(RIGHT), "/search?q=right")
    assert status == 503
    assert "Too many searches wait; try again." in html


def test_a_query_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    ask(app(RIGHT), "/search?q=nobodysbusiness")
    assert "nobodysbusiness" not in caplog.text
