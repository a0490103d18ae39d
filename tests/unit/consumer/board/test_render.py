import json
import re
from pathlib import Path

import pytest

import consumer.board
import consumer.evaluate
from consumer.board import render
from consumer.board.cities import Figures, leaning, mood, step
from consumer.board.wall import Shown
from tests.labels import counted, labeled, labeled_value

NASTY = "<script>document.title='owned'</script>\"'><img src=x onerror=alert(1)>"


def card(**changes: object) -> str:
    value = json.dumps(labeled_value(**changes)).encode()
    return render.cards([Shown(3, 4711, labeled(**changes), value)], captions=True)[0]


def test_cities_and_places_are_text() -> None:
    html = card(city=NASTY, place=NASTY, top=[[NASTY, 0.9]])
    assert "<script" not in html
    assert html.count("<img") == 1
    assert "&lt;script&gt;" in html


def test_a_card_says_in_words_what_its_bar_shows() -> None:
    assert 'aria-label="confidence 0.83; threshold 0.3; the picture alone was 0.83 sure, the gate is 0.6"' in card(
        confidence=0.83,
        decided_by="image",
        image={"place": "bridge", "confidence": 0.83, "top": [["bridge", 0.83]]},
        decision={"ensemble": "conditional", "weights": [0.8, 0.8], "gate": 0.6, "threshold": 0.3},
    )


def test_threshold_and_gate_stand_apart_from_a_bar_of_any_colour() -> None:
    marks = re.findall(r'<line class="(\w+)" x1="([\d.]+)%"', card(confidence=0.83))
    assert marks == [("edge", "30.00"), ("threshold", "30.00"), ("edge", "60.00"), ("gate", "60.00")]


def test_a_post_without_a_place_says_so_and_what_came_nearest() -> None:
    html = card(place=None, confidence=0.1, top=[["art_gallery", 0.1]])
    assert "<strong>not classified</strong>" in html
    assert "nearest: art gallery" in html


def test_a_card_names_the_broader_answer_in_place_of_what_came_nearest() -> None:
    broader = {"level": "synonyms", "name": "art_gallery|museum/indoor", "confidence": 0.71}
    html = card(place=None, confidence=0.1, top=[["art_gallery", 0.1]], broader=broader)
    assert 'art gallery or museum / indoor <span class="sure">0.71</span>' in html
    assert "nearest:" not in html
    assert "&lt;b&gt;" in card(place=None, broader=broader | {"level": "level2", "name": "<b>"})


def test_the_record_is_shown_whole_with_fields_that_are_not_known_yet() -> None:
    value = json.dumps({"later": 1, "top": [['a "b', 0.5], ["c", 1.0]]}).encode()
    assert (
        render.environment.filters["pretty"](value)
        == '{\n  "later": 1,\n  "top": [\n    ["a \\"b", 0.5],\n    ["c", 1.0]\n  ]\n}'
    )


@pytest.mark.parametrize(("mean", "expected"), [(-0.7, -3), (-0.5, -2), (-0.05, 0), (0.05, 0), (0.06, 1), (0.9, 3)])
def test_moods_have_seven_steps(mean: float, expected: int) -> None:
    assert mood(mean) == expected


@pytest.mark.parametrize(
    ("captions", "shown"),
    [(29, r"<td>– <small>29</small></td>"), (30, r'<span class="mood m4">\+0\.20</span> <small>± 0\.11, 30</small>')],
)
def test_a_mood_has_a_colour_from_thirty_captions_on(captions: int, shown: str) -> None:
    """One caption of −0.55 painted a place deep orange."""
    sentiments = [0.5, -0.1] * 15
    figures = Figures.of(counted(*({"sentiment": each} for each in sentiments[:captions])))
    city = figures.city("newyork")
    html = render.page(
        "figures.html.j2", root="", figures=figures, listed=figures.page("newyork", 1), city=city, named="newyork"
    )
    assert re.search(shown, html)


@pytest.mark.parametrize(("language", "is_mixed"), [("en", False), (..., True)])
def test_the_languages_of_a_city_are_said_and_moods_of_any_language(language: object, is_mixed: bool) -> None:
    figures = Figures.of(counted({}, {"language": "de", "sentiment": None}, {"language": language}))
    city = figures.city("newyork")
    html = render.page(
        "figures.html.j2", root="", figures=figures, listed=figures.page("newyork", 1), city=city, named="newyork"
    )
    assert ("Languages: 33 % de, 33 % en, 33 % not known." if is_mixed else "Languages: 67 % en, 33 % de.") in html
    assert ("At least 1 of these moods are of captions in any language" in html) == is_mixed


def test_the_figures_say_how_many_posts_without_a_place_have_a_broader_answer() -> None:
    drinks = {"level": "level2", "name": "shopping and dining", "confidence": 0.7}
    figures = Figures.of(counted({}, {"place": None}, {"place": None, "broader": drinks}, {"place": None}))
    city = figures.city("newyork")
    html = render.page(
        "figures.html.j2", root="", figures=figures, listed=figures.page("newyork", 1), city=city, named="newyork"
    )
    assert city is not None
    assert (city.broader.k, city.broader.n) == (1, 4)
    assert "1 classified (25.0 %), 3 not classified, 1 of them with a broader answer" in html


def test_the_heat_maps_steps_begin_with_one_post() -> None:
    assert [step(posts, 60) for posts in (0, 1, 10, 11, 60)] == [0, 1, 1, 2, 6]


def test_quotients_lean_alike_in_both_directions_and_end() -> None:
    assert [leaning(q) for q in (1.0, 2.0, 0.5, 4.0, 100.0, 0.001)] == pytest.approx([0, 0.5, -0.5, 1, 1, -1])


def test_the_board_has_the_sheets_colours() -> None:
    here = (Path(consumer.board.__path__[0]) / "static" / "board.css").read_text("utf-8")
    sheet = (Path(consumer.evaluate.__path__[0]) / "pages" / "templates" / "sheet.css").read_text("utf-8")
    for theirs, ours in zip(blocks(sheet), blocks(here), strict=True):
        shared = {name: value for name, value in theirs.items() if name in ours}
        assert {"--paper", "--card", "--ink", "--soft", "--line", "--edge", "--accent"} <= set(shared)
        assert shared == {name: ours[name] for name in shared}


def blocks(css: str) -> list[dict[str, str]]:
    """The custom properties of both schemes."""
    return [dict(re.findall(r"(--[\w-]+): ([^;]+);", block)) for block in re.findall(r":root \{(.*?)\}", css, re.S)]
