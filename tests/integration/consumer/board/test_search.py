"""Search in the browser: photographs that the real worker has labelled, found by words and by likeness."""

import csv
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from deploy.local.stack import Stack
from producer.photographs import PHOTOGRAPHS
from tests.conftest import Background, background, clean_environment, run_to_end, wait_until
from tests.integration.consumer.board.conftest import address, environment, make_topics
from tests.integration.contrast import LOW_CONTRAST

CAPTIONS = {"coffee": "first one of the day", "moon": "a hot drink <b>please</b>"}
ENCODER = ("--encoder", "conse")


@dataclass(frozen=True, slots=True)
class Searched:
    """Two boards on the same posts.

    Attributes:
        live: the address of one that follows the topics.
        exported: the address of one that searches an export, with pictures of a dataset; posts of its own it has none.
        boards: both.
    """

    live: str
    exported: str
    boards: tuple[Background, Background]


def write_dataset(folder: Path) -> Path:
    """The packages' photographs, each once, named after its file; the path of their table."""
    rows = []
    for photograph in PHOTOGRAPHS:
        path = photograph.path()
        shutil.copy(path, folder)
        rows.append((path.stem, "<b>london</b>", path.name, CAPTIONS.get(path.stem, "")))
    table = folder / "posts.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([("post_id", "city", "image_path", "caption"), *rows])
    return table


@pytest.fixture(scope="module")
def searched(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searched]:
    folder = tmp_path_factory.mktemp("search")
    name, exported = folder.name, str(folder / "exported")
    vectors = f"{name}-vectors"
    make_topics(stack, name, vectors)
    table = write_dataset(folder)
    variables = clean_environment() | stack.environment | environment(name, f"{{{name}}}")
    on_vectors = ("--vectors-topic", vectors)
    once = ("--stop-at-end", "--metrics-port", "0", "--encode-captions", "all")
    for command in (
        ("producer", "replay", str(table)),
        ("consumer", "label", *ENCODER, *on_vectors, *once),
        ("consumer", "export", "-o", exported, *on_vectors),
    ):
        ended = run_to_end(folder, variables, *command)
        assert ended.returncode == 0, ended.stderr
    with ExitStack() as ends:
        start = ends.enter_context(background(folder, variables))
        common = ("consumer", "board", "--port", "0", "--captions", *ENCODER)
        live = start(*common, "--search", "--since", "1d", *on_vectors)
        later = start(*common, "--export", exported, "--dataset", str(table), "--input-topic", f"{name}-expired")
        yield Searched(address(live), address(later), (live, later))


def posts(page: Page, title: str) -> list[str]:
    """The ids of the posts below a heading, in order."""
    pictures = page.get_by_role("list", name=f"{title}, the nearest first").locator("img").all()
    return [re.findall(r"[?&]post=([^&]*)", picture.get_attribute("src") or "")[0] for picture in pictures]


def look_for(page: Page, words: str) -> None:
    """As a person does: type the words into the box, and press Enter."""
    page.get_by_role("link", name="Search", exact=True).click()
    page.wait_for_url("**/search")
    page.get_by_label("What a picture shows").fill(words)
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=*")


def more_like_the_first(page: Page) -> None:
    """Follow the link below the first post."""
    before = page.url
    page.locator(".more").first.click()
    page.wait_for_url(lambda now: now != before)


def wait_for_all(page: Page, url: str) -> None:
    """Wait until the board has the vectors of every post."""
    says = f"Posts that can be found: {len(PHOTOGRAPHS)}; by their caption: {len(CAPTIONS)}."
    wait_until(lambda: page.goto(f"{url}/search") and says in page.locator("main").inner_text(), what="all vectors")


@pytest.mark.parametrize("which", ["live", "exported"])
def test_the_search_box_finds_the_coffee_cup_by_a_hot_drink(page: Page, searched: Searched, which: str) -> None:
    url: str = getattr(searched, which)
    wait_for_all(page, url)
    look_for(page, "a hot drink")
    assert posts(page, "By the picture")[0] == "coffee"
    assert posts(page, "By the caption") == ["moon", "coffee"]
    first = page.get_by_role("list", name="By the picture, the nearest first").locator(".card").first
    expect(first.locator(".caption")).to_have_text("first one of the day")
    page.get_by_role("navigation", name="what was found").get_by_role("link", name="By the caption").click()
    expect(page.get_by_role("heading", name="By the caption")).to_be_in_viewport()
    assert "<b>london</b>" in first.inner_text()
    picture = first.locator("img")
    wait_until(lambda: picture.evaluate("one => one.complete && one.naturalWidth"), what="the cup")

    permanent = page.url.partition("#")[0]
    assert urlsplit(permanent).query == "q=a+hot+drink"
    page.goto("about:blank")
    page.goto(permanent)
    assert posts(page, "By the picture")[0] == "coffee"
    assert page.get_by_label("What a picture shows").input_value() == "a hot drink"
    assert not any("hot" in board.output for board in searched.boards), "what a person looks for is not logged"


def test_a_found_post_has_a_page_and_pictures_like_it(page: Page, searched: Searched) -> None:
    wait_for_all(page, searched.live)
    look_for(page, "a stone surface")
    first = page.locator(".card a").first
    first.click()
    page.wait_for_url("**/post/**")
    assert "<b>london</b>" in page.locator(".lead").inner_text()
    page.get_by_role("link", name="More like this").click()
    page.wait_for_url("**/search?city=*")
    asked = page.get_by_role("list", name="the post", exact=True).locator("img").get_attribute("src")
    others = posts(page, "Pictures that are most like it")
    assert len(others) == len(PHOTOGRAPHS) - 1
    assert asked is not None
    assert not any(asked.endswith(f"post={other}") for other in others)
    more_like_the_first(page)
    assert posts(page, "Pictures that are most like it") != others


def test_an_export_is_searched_whose_posts_the_board_has_no_labels_of(page: Page, searched: Searched) -> None:
    page.goto(f"{searched.exported}/search?q=a+hot+drink")
    assert page.locator(".card a[href*='/post/']").count() == 0
    assert page.locator(".card strong").first.inner_text() == "coffee"
    more_like_the_first(page)
    assert "coffee" not in posts(page, "Pictures that are most like it")


def test_a_search_works_without_javascript(browser: Browser, searched: Searched) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    look_up = f"{searched.exported}/search"
    page.goto(look_up)
    page.get_by_label("What a picture shows").fill("a hot drink")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**/search?q=a+hot+drink")
    assert posts(page, "By the picture")[0] == "coffee"
    context.close()


def test_what_is_looked_for_is_text_and_no_page(page: Page, searched: Searched) -> None:
    page.goto(searched.exported)
    look_for(page, '"><script>alert(1)</script><b>drink</b>')
    assert page.get_by_label("What a picture shows").input_value() == '"><script>alert(1)</script><b>drink</b>'
    assert page.locator("main b, main script").count() == 0


def test_more_letters_than_may_be_looked_for_are_said(page: Page, searched: Searched) -> None:
    answer = page.goto(f"{searched.exported}/search?q={'x' * 201}")
    assert answer is not None
    assert answer.status == 400
    assert page.get_by_role("alert").inner_text() == "At most 200 letters can be looked for; these are 201."


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_found_can_be_read(page: Page, searched: Searched, scheme: Literal["light", "dark"]) -> None:
    page.emulate_media(color_scheme=scheme)
    for query in ("q=a+hot+drink", "city=%3Cb%3Elondon%3C/b%3E&like=coffee", "q="):
        page.goto(f"{searched.exported}/search?{query}")
        assert page.locator("header nav [aria-current]").inner_text() == "Search"
        assert page.evaluate(LOW_CONTRAST) == []
