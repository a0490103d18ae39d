"""The wall in headless Chromium: posts come by themselves, filters stay, and nothing that is posted does anything."""

import re
import time
from typing import Literal

import psutil
import pytest
from kafka import KafkaAdminClient, TopicPartition
from playwright.sync_api import Page, expect

from consumer.board.events import CARDS
from consumer.classify.places import readable
from deploy.local.stack import Stack
from tests.conftest import wait_until
from tests.integration.consumer.board.conftest import BOTH, KEEP, Board, wait_for_pictures
from tests.integration.contrast import LOW_CONTRAST

NASTY = "<script>document.title='owned'</script>\"'><img src=x onerror=alert(1)>"


def names(page: Page) -> list[str]:
    return page.locator(".card strong").all_inner_texts()


def test_a_labelled_post_appears_by_itself_with_its_picture(page: Page, board: Board) -> None:
    page.goto(f"{board.url}/?city=appears")
    expect(page.get_by_text("No post on the wall fits this filter yet.")).to_be_visible()

    ((partition, offset),) = board.feed.show(city="appears", caption="a walk over the bridge")
    began = time.monotonic()
    card = page.locator(f"#p{partition}-{offset}")
    card.wait_for()
    print(f"on the page {time.monotonic() - began:.2f} s after its label was written")

    assert card.locator("strong").inner_text() == "bridge"
    expect(card.locator(".caption")).to_have_text("a walk over the bridge")
    wait_for_pictures(page, 1)
    expect(page.locator("#age")).to_have_text(re.compile(r"newest \d+(\.\d)? s old"))
    assert re.fullmatch(r"[\d.]+ posts/s", page.locator("#rate").inner_text())


SEEN = """seen => {
  Object.defineProperty(document, "hidden", { configurable: true, value: !seen });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_tabs_that_nobody_sees_keep_no_other_from_the_board(page: Page, board: Board) -> None:
    tabs = [page.context.new_page() for _ in range(6)]  # as many connections as a browser opens to one address
    for tab in tabs:
        tab.goto(f"{board.url}/?city=tabs")
        tab.evaluate(SEEN, False)
    page.goto(f"{board.url}/?city=tabs")
    board.feed.show(city="tabs")
    wait_for_pictures(page, 1)
    expect(tabs[0].locator(".card")).to_have_count(0)
    tabs[0].evaluate(SEEN, True)
    wait_for_pictures(tabs[0], 1)
    expect(tabs[0].locator("#notice")).to_be_hidden()


def test_filters_choose_and_a_reload_keeps_them(page: Page, board: Board) -> None:
    board.feed.show(2, city="filters", place="bridge", decided_by="image")
    board.feed.show(1, city="filters", **(BOTH | {"place": None, "confidence": 0.1, "top": [["yard", 0.1]]}))
    board.feed.show(1, city="filters", **BOTH)
    board.feed.show(1, city="filters elsewhere", place="bridge")
    page.goto(board.url)
    page.get_by_label("City").select_option("filters")
    expect(page.locator(".card")).to_have_count(4)

    page.get_by_label("Place").select_option("not classified")
    expect(page.locator(".card")).to_have_count(1)
    assert names(page) == ["not classified"]
    page.get_by_label("Place").select_option("")
    page.get_by_label("Decided by").select_option("picture alone")
    expect(page.locator(".card")).to_have_count(2)
    assert page.url == f"{board.url}/?city=filters&by=image"

    page.reload()
    assert names(page) == ["bridge", "bridge"]
    assert page.get_by_label("City").input_value() == "filters"
    board.feed.show(1, city="filters", **BOTH)
    board.feed.show(1, city="filters", place="bridge", decided_by="image")
    expect(page.locator(".card")).to_have_count(3)
    assert set(names(page)) == {"bridge"}

    page.get_by_role("link", name="Show all").click()
    expect(page.locator(".card", has_text="filters elsewhere")).to_have_count(1)
    assert page.url == f"{board.url}/"


def test_what_is_posted_is_text_wherever_it_stands(page: Page, board: Board) -> None:
    page.goto(board.url)
    ((partition, offset),) = board.feed.show(city=NASTY, caption=NASTY, place=NASTY, top=[[NASTY, 0.9]])
    card = page.locator(f"#p{partition}-{offset}")
    card.wait_for()
    expect(card.locator(".caption")).to_have_text(NASTY)
    assert NASTY in card.locator(".meta").inner_text()
    assert page.locator("main script, .card img:not([src^='/picture/'])").count() == 0
    page.get_by_label("City").select_option(NASTY)
    expect(card).to_be_visible()
    page.reload()
    expect(card.locator(".caption")).to_have_text(NASTY)
    card.get_by_role("link").click()
    assert page.locator("h1").inner_text() == readable(NASTY)
    assert page.get_by_text(NASTY).count() >= 2, "city and caption"
    assert page.title().startswith(readable(NASTY))


def test_the_wall_holds_still_while_somebody_looks(page: Page, board: Board) -> None:
    board.feed.show(2, city="held")
    page.goto(f"{board.url}/?city=held")
    expect(page.locator(".card")).to_have_count(2)

    page.locator(".card").first.hover()
    board.feed.show(3, city="held")
    expect(page.locator("#held")).to_have_text("3 newer posts wait")
    expect(page.locator(".card")).to_have_count(2)
    page.mouse.move(2, 2)
    expect(page.locator(".card")).to_have_count(5)
    expect(page.locator("#held")).to_be_hidden()

    page.get_by_role("button", name="Pause").press("Enter")
    board.feed.show(1, city="held")
    expect(page.locator("#held")).to_have_text("1 newer post waits")
    page.get_by_role("button", name="Pause").press("Enter")
    expect(page.locator(".card")).to_have_count(6)


def test_it_can_be_used_by_keyboard_alone(page: Page, board: Board) -> None:
    board.feed.show(2, city="keyboard")
    page.goto(f"{board.url}/?city=keyboard")
    expect(page.locator(".card")).to_have_count(2)
    reached = []
    for _ in range(11):
        page.keyboard.press("Tab")
        named = page.evaluate(
            "((e) => (e.innerText && e.tagName !== 'SELECT' ? e : e.labels[0]).innerText)(document.activeElement)"
        )
        reached.append(named.split("\n")[0].strip())
    assert reached[:8] == ["Skip to the content", "Live", "Cities", "Pause", "City", "Place", "Decided by", "Show all"]
    assert [each.split()[0] for each in reached[8:10]] == ["bridge", "bridge"]
    page.locator(".card a").first.press("Enter")
    page.wait_for_url("**/post/*/*")
    assert page.locator("h1").inner_text() == "bridge"


def test_a_city_of_any_name_is_offered_once(page: Page, board: Board) -> None:
    offered = page.locator("select[name=city] option")
    page.goto(board.url)
    for city in ("_not_classified", "_x", "_y"):  # each arrival makes the list again
        board.feed.show(1, city=city)
        expect(offered.filter(has_text=re.compile(f"^{city}$"))).to_have_count(1)
    assert sorted(name for name in offered.all_inner_texts() if name.startswith("_")) == ["_not_classified", "_x", "_y"]
    assert page.locator("select[name=place] option", has_text="not classified").count() == 1


def test_a_screen_reader_is_told_what_came_now_and_then(page: Page, board: Board) -> None:
    page.clock.install()
    page.goto(f"{board.url}/?city=told")
    said = page.get_by_role("status").and_(page.locator("#said"))
    expect(page.get_by_text("No post on the wall fits this filter yet.")).to_be_visible()
    page.wait_for_timeout(1_500)  # past the stream's first event, which brings what was there before
    board.feed.show(2, city="told")
    expect(page.locator(".card")).to_have_count(2)
    expect(said).to_have_text("")
    page.clock.fast_forward(21_000)
    expect(said).to_have_text("2 new posts; the latest: bridge in told.")
    assert page.locator("#notice").get_attribute("role") == "status"
    assert page.get_by_role("list", name="posts, the latest first").count() == 1
    assert page.get_by_role("search", name="filter the posts").count() == 1


def test_a_bar_is_read_without_its_colours(page: Page, board: Board) -> None:
    board.feed.show(1, city="marks", **BOTH)
    page.goto(f"{board.url}/?city=marks")
    bar = page.get_by_role("img", name=re.compile("^confidence 0.45, of which 0.10 from the picture and 0.35 from the"))
    expect(bar).to_have_count(1)
    assert "threshold 0.3; the picture alone was 0.50 sure, the gate is 0.6" in str(bar.get_attribute("aria-label"))
    shape = page.evaluate(
        """bar => {
          const at = selector => {
            const box = bar.querySelector(selector).getBoundingClientRect(), whole = bar.getBoundingClientRect();
            return [box.left - whole.left, box.width].map(pixels => Math.round(100 * pixels / whole.width));
          };
          return {image: at(".image"), hatch: at("rect[fill='url(#hatch)']"), threshold: at(".threshold")[0],
            gate: at(".gate")[0], dashes: getComputedStyle(bar.querySelector(".gate")).strokeDasharray};
        }""",
        bar.element_handle(),
    )
    assert shape == {"image": [0, 10], "hatch": [10, 35], "threshold": 30, "gate": 60, "dashes": "3px, 2px"}
    assert page.locator("pattern#hatch rect").count() == 1
    assert page.locator(".legend line.gate, .legend line.threshold, .legend rect[fill='url(#hatch)']").count() == 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_told_from_its_background(page: Page, board: Board, scheme: Literal["light", "dark"]) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    board.feed.show(1, city="contrast", **(BOTH | {"place": None}))
    board.feed.show(1, city="contrast", caption="a caption")
    page.goto(f"{board.url}/?city=contrast")
    expect(page.locator(".card .caption", has_text="a caption").first).to_be_visible()
    assert page.evaluate(LOW_CONTRAST) == []
    page.locator(".card a").first.click()
    page.wait_for_url("**/post/*/*")
    assert page.evaluate(LOW_CONTRAST) == []


def test_a_picture_that_has_expired_says_so(page: Page, board: Board, stack: Stack) -> None:
    board.feed.posts(2)
    gone = board.feed.sources[-2:]
    lasts = {f"{each['source']['partition']}": each["source"]["offset"] for each in gone}
    admin = KafkaAdminClient(bootstrap_servers=stack.broker.address)
    admin.delete_records({TopicPartition(board.feed.topic, int(p)): offset + 1 for p, offset in lasts.items()})
    admin.close()
    board.feed.label(gone, city="expired")
    board.feed.show(1, city="expired")
    page.goto(f"{board.url}/?city=expired")
    expect(page.get_by_text("The picture has expired.")).to_have_count(2)
    wait_for_pictures(page, 1)
    page.locator(".card", has_text="The picture has expired.").first.get_by_role("link").click()
    page.wait_for_url("**/post/*/*")
    expect(page.get_by_text("The picture has expired.")).to_be_visible()
    expect(page.get_by_text("The record", exact=True)).to_be_visible()


def test_ten_thousand_posts_grow_neither_the_page_nor_the_process(page: Page, board: Board) -> None:
    process = psutil.Process(board.process.process.pid)
    board.feed.posts(20)
    sources = board.feed.sources[-20:]
    page.goto(f"{board.url}/?city=many")

    def feed(count: int, last: str) -> tuple[int, float]:
        """Nodes of the page, and MB of the process, once so many more posts were shown."""
        board.feed.label(sources * (count // 20), city="many")
        board.feed.label(sources[:2], city="many", place=last)  # in each partition: one is read after the other
        expect(page.locator(".card strong").first).to_have_text(last)
        nodes: int = page.evaluate("document.querySelectorAll('*').length")
        return nodes, process.memory_info().rss / 2**20

    nodes, memory = feed(2_000, "atrium")
    expect(page.locator(".card")).to_have_count(CARDS)
    began = time.monotonic()
    more_nodes, more_memory = feed(10_000, "castle")
    print(
        f"10,000 posts shown after {time.monotonic() - began:.1f} s: {nodes} -> {more_nodes} nodes, "
        f"{memory:.0f} -> {more_memory:.0f} MB"
    )

    expect(page.locator(".card")).to_have_count(CARDS)
    assert more_nodes <= nodes + 50
    assert more_memory < memory + 15
    assert len(page.request.get(f"{board.url}/?city=many").text()) < 400_000
    wait_until(lambda: f'"kept": {KEEP}' in first_event(page, board), what="the wall to be full")


def first_event(page: Page, board: Board) -> str:
    text: str = page.evaluate(
        """async address => {
          const answer = await fetch(address), reader = answer.body.getReader(), decoder = new TextDecoder();
          let text = "";
          while (!text.includes("kept")) text += decoder.decode((await reader.read()).value);
          await reader.cancel();
          return text;
        }""",
        f"{board.url}/events?city=nowhere",
    )
    return text
