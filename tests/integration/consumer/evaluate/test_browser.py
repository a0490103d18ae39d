"""The sheet, the report and the popularity page in headless Chromium, from the file system as a person opens them."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from consumer.cities import popularity
from consumer.count.counters import tally
from consumer.count.snapshot import Counters
from consumer.count.zones import load_zones
from consumer.evaluate.curves import curves
from consumer.evaluate.marks import sheet
from consumer.evaluate.marks.marks import PostMarks, Sheet
from consumer.evaluate.report import report
from tests.conftest import PATIENCE, wait_until
from tests.integration.contrast import LOW_CONTRAST
from tests.labels import labeled
from tests.unit.consumer.evaluate.pictures import NASTY, write_pictures
from tests.unit.consumer.evaluate.simulated import CATEGORIES, simulate, write_scores


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a fresh profile that may complain about nothing and load nothing from elsewhere."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    opened = context.new_page()
    opened.set_default_timeout(1000 * PATIENCE)
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda request: complaints.append(request.url) if request.url.startswith("http") else None)
    yield opened
    context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sheet of some 20 posts, each with the labels of two models."""
    experiment = simulate(tmp_path_factory.mktemp("sheet") / "x", posts=40, per_class=2)
    true = np.array([CATEGORIES.index(place) for place in experiment.truth.values() if place])
    other = write_scores(experiment.scores.parent / "other", true, 0.8, 0.8, 0.8, np.random.default_rng(3), "other")
    write_pictures(experiment.sample)
    written = experiment.scores.parent / "sheet"
    assert sheet.main([str(experiment.sample), "--scores", str(other.folder), "-o", str(written)]) == 0
    return written


@pytest.fixture
def marking(page: Page, folder: Path) -> Page:
    page.goto((folder / "index.html").as_uri())
    return page


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def empty(folder: Path) -> Sheet:
    return Sheet.read(folder / "sheet.csv", CATEGORIES)


def exported(page: Page, path: Path) -> Sheet:
    with page.expect_download() as download:
        page.get_by_role("button", name="Save marks").click()
    download.value.save_as(path)
    return Sheet.read(path, CATEGORIES)


def at_post_with(page: Page, folder: Path, labels: int) -> PostMarks:
    """Go to the first post with so many labels."""
    posts = empty(folder).posts
    number = next(number for number, post in enumerate(posts) if len(post.labels) == labels)
    press(page, *["ArrowRight"] * number)
    assert page.locator("#where").inner_text().startswith(f"Post {number + 1} of {len(posts)} ")
    return posts[number]


def marks_of(found: Sheet, post: PostMarks) -> PostMarks:
    (row,) = [each for each in found.posts if each.post_id == post.post_id]
    return row


def pressed(page: Page) -> list[str]:
    return [
        button.get_attribute("aria-label") or button.inner_text()
        for button in page.locator("[aria-pressed=true]").all()
    ]


def test_an_untouched_sheet_exports_what_the_empty_csv_is(marking: Page, folder: Path, tmp_path: Path) -> None:
    assert exported(marking, tmp_path / "marks.csv") == empty(folder)
    assert (tmp_path / "marks.csv").read_bytes() == (folder / "sheet.csv").read_bytes()


def test_marks_by_keys_and_by_mouse_are_exported(marking: Page, folder: Path, tmp_path: Path) -> None:
    post = at_post_with(marking, folder, 3)
    press(marking, "1", "Shift+Digit2")
    marking.locator(".label").nth(2).get_by_role("button", name="wrong").click()
    assert "finished" in marking.locator("#where").inner_text()
    row = marks_of(exported(marking, tmp_path / "marks.csv"), post)
    assert (row.right, row.wrong) == (post.labels[:1], post.labels[1:])
    assert not row.true_places
    assert marking.locator("#count").inner_text() == f"1 of {len(empty(folder).posts)} posts finished"


def test_moods_are_asked_of_english_captions_and_exported_and_loaded(page: Page, folder: Path, tmp_path: Path) -> None:
    moods = tmp_path / "moods"
    assert sheet.main([str(folder.parent / "sample"), "-o", str(moods), "--mood"]) == 0
    page.goto((moods / "index.html").as_uri())
    captions = page.locator("#caption")
    asked, unasked = None, None
    for post in empty(moods).posts:
        is_asked = page.locator("#moods").is_visible()
        assert is_asked == ("sea" in captions.inner_text() or "owned" in captions.inner_text())
        asked, unasked = (post, unasked) if is_asked else (asked, post)
        press(page, "n", "j", "l", "ArrowRight")
    assert asked is not None
    assert unasked is not None
    posts = len(empty(moods).posts)
    assert page.locator("#count").inner_text() == f"{posts} of {posts} posts finished"
    found = exported(page, tmp_path / "marks.csv")
    assert (marks_of(found, asked).mood, marks_of(found, asked).no_place) == ("positive", True)
    assert marks_of(found, unasked).mood is None
    page.once("dialog", lambda dialog: dialog.accept())
    page.locator("#clear").click()
    page.locator("#import").set_input_files(tmp_path / "marks.csv")
    page.get_by_text("loaded the marks").wait_for()
    assert exported(page, tmp_path / "again.csv") == found


def test_the_same_key_again_and_undo_take_marks_back(marking: Page, folder: Path) -> None:
    post = at_post_with(marking, folder, 3)
    press(marking, "1", "w")
    assert len(pressed(marking)) == 3
    press(marking, "ArrowRight", "u")
    name = post.labels[0].replace("_", " ").replace("/", " / ")
    assert pressed(marking) == [f"{name} is right"], "undo goes back to the post"
    press(marking, "1")
    assert pressed(marking) == []
    press(marking, "Control+z", "Control+z")
    assert pressed(marking) == []
    assert marking.locator("#undo").is_disabled()


def test_no_place_and_cannot_tell_exclude_every_other_mark(marking: Page, folder: Path, tmp_path: Path) -> None:
    post = at_post_with(marking, folder, 2)
    press(marking, "1", "n")
    row = marks_of(exported(marking, tmp_path / "none.csv"), post)
    assert (row.no_place, row.right, row.cannot_tell) == (True, (), False)
    press(marking, "c")
    row = marks_of(exported(marking, tmp_path / "unsure.csv"), post)
    assert (row.no_place, row.cannot_tell) == (False, True)
    press(marking, "2")
    row = marks_of(exported(marking, tmp_path / "right.csv"), post)
    assert (row.right, row.no_place, row.cannot_tell) == (post.labels[1:2], False, False)


def test_true_places_are_searched_in_the_list(marking: Page, folder: Path, tmp_path: Path) -> None:
    post = at_post_with(marking, folder, 2)
    unproposed = next(place for place in CATEGORIES if place not in post.labels and "_" in place)
    press(marking, "Shift+Digit1")
    for typed in ("no such place", unproposed.replace("_", " ").upper(), post.labels[0]):
        press(marking, "t")
        marking.keyboard.type(typed)
        press(marking, "Enter")
        marking.locator("#true").fill("")
        press(marking, "Escape")
    row = marks_of(exported(marking, tmp_path / "marks.csv"), post)
    assert row.true_places == (unproposed, post.labels[0])
    assert (row.right, row.wrong) == (post.labels[:1], ()), "a label that is true is right"
    assert row.verdict(post.labels[1]) == "wrong"
    marking.get_by_role("button", name=f"remove {unproposed.replace('_', ' ')}").click()
    assert marks_of(exported(marking, tmp_path / "less.csv"), post).true_places == post.labels[:1]


def test_marks_survive_a_reload_and_go_on_at_the_next_unfinished_post(
    marking: Page, folder: Path, tmp_path: Path
) -> None:
    press(marking, "n", "f", "c")
    before = exported(marking, tmp_path / "before.csv")

    def reloaded() -> bool:
        marking.reload()
        return marking.locator("#where").inner_text().startswith("Post 3 of")

    # On a busy machine the new page may be there before Chromium has carried the old one's storage to it.
    wait_until(reloaded, what="the marks after a reload")
    assert exported(marking, tmp_path / "after.csv") == before
    assert [post.unmarked for post in before.posts[:3]] == [False, False, True]


def test_an_exported_csv_is_imported_by_another_browser(
    marking: Page, folder: Path, browser: Browser, tmp_path: Path
) -> None:
    press(marking, "w" if len(empty(folder).posts[0].labels) > 1 else "1", "ArrowRight", "n")
    saved = exported(marking, tmp_path / "marks.csv")
    with browser.new_context(accept_downloads=True) as elsewhere:
        fresh = elsewhere.new_page()
        fresh.goto((folder / "index.html").as_uri())
        assert pressed(fresh) == []
        fresh.locator("#import").set_input_files(tmp_path / "marks.csv")
        fresh.locator("#said", has_text="loaded the marks of 2 posts").wait_for()
        assert exported(fresh, tmp_path / "again.csv") == saved
        press(fresh, "u")
        assert exported(fresh, tmp_path / "undone.csv") == empty(folder)


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_csv_that_a_spreadsheet_saved_is_imported(
    marking: Page, folder: Path, tmp_path: Path, delimiter: str
) -> None:
    press(marking, "n", "ArrowRight", "c")
    saved = exported(marking, tmp_path / "marks.csv")
    assert (tmp_path / "marks.csv").read_bytes().startswith(b"\xef\xbb\xbf# placestream")
    press(marking, "u", "u", "u")
    assert exported(marking, tmp_path / "undone.csv") == empty(folder)
    first, *lines = (tmp_path / "marks.csv").read_text("utf-8-sig").splitlines()
    rows = list(csv.reader(lines))
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows([["WAHR" if v == "yes" else v for v in row] for row in rows])
    (tmp_path / "excel.csv").write_text(f'"{first}"{delimiter * 9}\r\n{text.getvalue()}', "utf-8-sig", newline="")
    marking.locator("#import").set_input_files(tmp_path / "excel.csv")
    marking.locator("#said", has_text="loaded the marks of 2 posts").wait_for()
    assert exported(marking, tmp_path / "again.csv") == saved


def test_two_halves_are_joined_by_loading_one_after_the_other(
    marking: Page, folder: Path, browser: Browser, tmp_path: Path
) -> None:
    """A row without marks in the file takes nothing back; one with marks replaces what was there."""
    first, second, third = (post.post_id for post in empty(folder).posts[:3])
    press(marking, "n", "ArrowRight", "n")
    exported(marking, tmp_path / "one.csv")
    with browser.new_context(accept_downloads=True) as elsewhere:
        other = elsewhere.new_page()
        other.goto((folder / "index.html").as_uri())
        press(other, "ArrowRight", "c", "ArrowRight", "n")
        exported(other, tmp_path / "two.csv")
    marking.locator("#import").set_input_files(tmp_path / "two.csv")
    marking.locator("#said", has_text="loaded the marks of 2 posts").wait_for()
    found = {post.post_id: post for post in exported(marking, tmp_path / "joined.csv").posts if not post.unmarked}
    assert set(found) == {first, second, third}
    assert (found[first].no_place, found[second].cannot_tell, found[third].no_place) == (True, True, True)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("post_id,city\n1,x\n", "it is not a sheet of this kind"),
        ("# placestream sheet 1 sample=0123abc pooled=x\npost_id\n", "it is the sheet of another sample"),
    ],
)
def test_a_file_that_is_no_sheet_of_this_sample_changes_nothing(
    marking: Page, tmp_path: Path, folder: Path, text: str, why: str
) -> None:
    press(marking, "n")
    (tmp_path / "wrong.csv").write_text(text)
    marking.locator("#import").set_input_files(tmp_path / "wrong.csv")
    marking.locator("#notice", has_text=why).wait_for()
    assert not exported(marking, tmp_path / "marks.csv").posts[0].unmarked


def test_captions_are_text_and_the_picture_can_be_enlarged(marking: Page, folder: Path) -> None:
    seen = set()
    for _ in empty(folder).posts:
        seen.add(marking.locator("#caption").inner_text())
        assert marking.evaluate("document.getElementById('picture').decode().then(() => true)")
        press(marking, "ArrowRight")
    assert NASTY in seen
    assert "no caption" in seen
    assert marking.title().startswith("Which labels are right?")
    press(marking, "z")
    assert marking.locator("#large").is_visible()
    press(marking, "Escape")
    assert not marking.locator("#large").is_visible()
    press(marking, "?")
    assert marking.get_by_role("dialog", name="Keys").is_visible()


FOCUSED = """() => {
  const e = document.activeElement;
  return e.getAttribute("aria-label") || e.innerText || (e.labels && e.labels.length ? e.labels[0].innerText : "");
}"""


def test_every_control_has_a_name_and_can_be_reached_by_the_tab_key(marking: Page, folder: Path) -> None:
    at_post_with(marking, folder, 3)
    controls = marking.locator("button:visible:enabled, input:visible, a:visible").count()
    names = []
    for _ in range(controls):
        press(marking, "Tab")
        names.append(marking.evaluate(FOCUSED))
    assert "" not in names
    for name in ("Skip to the labels", "Save marks (CSV)", "Load marks", "Enlarge the picture", "What it shows"):
        assert any(each.startswith(name) for each in names), (name, names)
    assert sum(each.endswith((" is right", " is wrong")) for each in names) == 6


SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_text_can_be_told_from_its_background(
    marking: Page, folder: Path, scheme: Literal["light", "dark"]
) -> None:
    marking.emulate_media(color_scheme=scheme)
    at_post_with(marking, folder, 3)
    press(marking, "1", "Shift+Digit2")
    assert marking.evaluate(LOW_CONTRAST) == []


def test_the_report_opens_and_shows_all_its_pictures(page: Page, tmp_path: Path) -> None:
    experiment = simulate(tmp_path / "x", posts=80, per_class=4, no_place=0.2)
    write_pictures(experiment.sample)
    numbers = tmp_path / "curves"
    shared = [str(experiment.scores), str(experiment.sample), "--marks", str(experiment.sheet), "-o", str(numbers)]
    assert curves.main([*shared, "--rounds", "100", "--step", "0.1"]) == 0
    written = tmp_path / "report.html"
    assert report.main([str(numbers), "--sample", str(experiment.sample), "-o", str(written)]) == 0
    assert_readable(page, written)
    assert page.locator(".thumbs img").count() > 20
    page.get_by_role("link", name="Gallery").click()
    assert page.locator("#gallery").is_visible()


def test_the_popularity_page_opens_and_shows_all_its_pictures(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    posts = [{"city": city, "place": place} for city in ("sydney", NASTY[:90]) for place in ("coast", "bridge", None)]
    counters = Counters.of(tally((labeled(**each) for each in posts), load_zones()), "x")
    monkeypatch.setattr(popularity, "_from_redis", lambda settings: popularity.Counted(counters, "counters"))
    assert popularity.main(["-o", str(tmp_path / "cities.html"), "--heat-maps", "1"]) == 0
    assert_readable(page, tmp_path / "cities.html")
    assert page.get_by_role("heading", name=NASTY[:90]).is_visible()


def assert_readable(page: Page, written: Path) -> None:
    """Every picture is there, nothing is wider than a narrow window, and every text has contrast in both schemes."""
    page.goto(written.as_uri())
    broken = "[...document.images].filter((each) => !each.naturalWidth).map((each) => each.alt)"
    assert page.evaluate(broken) == []
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate(LOW_CONTRAST) == []
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
