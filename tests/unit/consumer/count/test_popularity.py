import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import pytest

from consumer.count import popularity as report
from consumer.count.snapshot import Counters
from producer.base.errors import CommandError, UsageError
from tests.labels import counted

LONGEST = "apartment_building/outdoor"


@pytest.fixture(autouse=True)
def _a_terminal_of_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("JSON", "CSV", "PLACESTREAM_JSON", "PLACESTREAM_CSV"):
        monkeypatch.delenv(name, raising=False)


class Say:
    """`popularity FLAGS…` on what these posts add up to; no Redis."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        monkeypatch.setattr("consumer.count.connect.connect_redis", lambda *arguments: None)

    def __call__(self, posts: list[dict[str, Any]], *flags: str) -> tuple[str, str]:
        self._monkeypatch.setattr(Counters, "read", lambda *arguments: counted(*posts))
        assert report.main(list(flags)) == 0
        out, err = self._capsys.readouterr()
        return out, err


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    return Say(monkeypatch, capsys)


POSTS: list[dict[str, Any]] = [
    {"sentiment": 0.5},
    {"sentiment": -0.1},
    {"place": LONGEST, "sentiment": None},
    {"place": None},
    {"city": "sydney", "created_at": None},
]


def lines(text: str) -> list[str]:
    """The lines with something on them, with single spaces."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def test_a_table_per_city(say: Say) -> None:
    out, err = say(POSTS)
    assert err == ""
    rows = lines(out)
    assert rows[0] == "newyork: 4 posts, 3 classified, 1 not classified"
    assert rows[1] == "place posts share 95 % CI quotient sentiment n"
    assert rows[3] == "bridge 2 66.7% 20.8–93.9% 0.89 – 2"
    assert rows[4] == f"{LONGEST} 1 33.3% 6.1–79.2% 1.33 – 0"
    assert rows[5] == "languages: 100% en"
    assert rows[6] == "sydney: 1 posts, 1 classified, 0 not classified"


def test_the_longest_place_with_thousands_of_posts_fits_into_80_columns(say: Say) -> None:
    out, _ = say([{"place": LONGEST}, {}, {"place": "coast"}] * 1_234 + [{"city": "sydney"}])
    assert f"{LONGEST} 1,234 33.3% 31.8–34.9% 1.00 +0.42±.00 1,234" in lines(out)
    assert max(map(len, out.splitlines())) <= 80


def test_a_name_that_does_not_fit_goes_over_two_lines(say: Say) -> None:
    out, _ = say([{"place": LONGEST}] * 12_345)
    (row,) = [line.split() for line in lines(out) if "12,345" in line and not line.startswith("newyork")]
    assert row[1:] == ["12,345", "100.0%", "100.0–100.0%", "–", "+0.42±.00", "12,345"]
    assert row[0] + lines(out)[lines(out).index(" ".join(row)) + 1] == LONGEST
    assert max(map(len, out.splitlines())) <= 80


def test_a_single_city_shows_a_dash_for_the_quotient(say: Say) -> None:
    out, _ = say([{}])
    assert lines(out)[3] == "bridge 1 100.0% 20.7–100.0% – – 1"
    assert json.loads(say([{}], "--json")[0])[0]["places"][0]["quotient"] is None
    assert next(csv.DictReader(io.StringIO(say([{}], "--csv")[0])))["location_quotient"] == ""


def test_a_long_list_is_cut_and_says_so(say: Say) -> None:
    posts = [{"place": f"place_{number}"} for number in range(20)]
    assert "… and 5 more places (--top 0 shows all)" in say(posts)[0]
    assert "… and 18 more places" in say(posts, "--top", "2")[0]
    out, _ = say(posts, "--top", "0")
    assert "more places" not in out
    assert all(f"place_{number} " in out for number in range(20))


@pytest.mark.parametrize(
    ("by", "size", "row"),
    [
        ("hour", 24, "22:00 3 100.0% 43.9–100.0% " + "█" * 20),
        ("weekday", 7, "Tuesday 3 100.0% 43.9–100.0% " + "█" * 20),
    ],
)
def test_busy_times_are_local(say: Say, by: str, size: int, row: str) -> None:
    out, _ = say([{}, {}, {"place": None}, {"created_at": None}], "--by", by)
    title, _, _, *rows, caption = lines(out)
    assert caption == "posted from 2017-03-28 to 2017-03-28"
    assert title == "newyork: 3 of 4 posts with a known local time"
    assert len(rows) == size
    assert row in rows


def test_a_city_without_local_times_says_so(say: Say) -> None:
    out, _ = say([{"created_at": None}], "--by", "hour")
    assert lines(out) == ["newyork: 0 of 1 posts with a known local time"]


def test_only_one_city(say: Say) -> None:
    out, _ = say(POSTS, "--city", "sydney")
    assert "sydney" in out
    assert "newyork" not in out
    (city,) = json.loads(say(POSTS, "--city", "newyork", "--json")[0])
    assert city["places"][0]["quotient"] == pytest.approx((2 / 3) / (3 / 4))  # of all cities still


def test_an_unknown_city_is_one_line_that_names_the_others(say: Say) -> None:
    with pytest.raises(CommandError, match="^no city 'paris'; there are newyork, sydney$"):
        say(POSTS, "--city", "paris")


def test_a_city_is_found_however_it_is_written_and_labels_from_before_keep_their_name(say: Say) -> None:
    apart = "sa\u0303o paulo"
    for asked in ("são paulo", apart, " são  paulo "):
        assert say([{"city": "são paulo"}], "--city", asked)[0].startswith("são paulo: 1 posts")
    before = [{"city": apart}, {"city": "são paulo"}, {"city": "são paulo"}]
    assert say(before, "--city", apart)[0].startswith(f"{apart}: 1 posts")
    assert say(before, "--city", "são paulo")[0].startswith("são paulo: 2 posts")
    with pytest.raises(CommandError, match="^no city 'Sao Paulo'; there is são paulo$"):
        say([{"city": "são paulo"}, {"city": "rome"}], "--city", "Sao Paulo")


def test_two_spellings_of_one_city_are_warned_of_on_stderr(say: Say) -> None:
    posts = [{"city": "London"}, {"city": "london"}, {"city": "rome"}]
    line = "warning: different spellings count as different cities: 'London' and 'london'\n"
    assert say(posts)[1] == line
    assert say(posts, "--json")[1] == line
    assert say(posts, "--city", "london")[1] == ""


def test_of_many_cities_only_some_are_named(say: Say) -> None:
    posts = [{"city": f"city {number:03d}"} for number in range(150)] + [{"city": "zürich"}] * 2
    with pytest.raises(
        CommandError, match="^no city 'paris'; there are city 000, .*, zürich and 131 with fewer posts$"
    ):
        say(posts, "--city", "paris")


def test_of_many_cities_those_with_the_most_posts_have_a_table(say: Say) -> None:
    posts = [{"city": f"city {number:03d}"} for number in range(150)] + [{"city": "zürich"}] * 2
    titles = [line.split(":")[0] for line in lines(say(posts)[0]) if "classified" in line]
    assert titles == [*(f"city {number:03d}" for number in range(99)), "zürich"]
    assert say(posts)[0].endswith("… and 51 more cities with fewer posts (--top 0 shows all)\n")
    assert "more cities" not in say(posts, "--city", "zürich")[0]
    for flags, shown in ((["--top", "0"], "151 cities"), (["--csv"], "151 cities"), (["--json"], "151 cities")):
        out, _ = say(posts, *flags)
        assert f"{sum(f'city {number:03d}' in out for number in range(150)) + ('zürich' in out)} cities" == shown
        assert "more cities" not in out


def test_json_city_by_city_is_the_json_of_all(say: Say) -> None:
    out, _ = say([*POSTS, {"city": "a\u2028b", "place": "line\nbreak"}], "--json")
    assert out == json.dumps(json.loads(out), ensure_ascii=False, indent=2) + "\n"


def test_nothing_counted_is_one_line(say: Say) -> None:
    with pytest.raises(CommandError, match=r"^nothing is counted under \{placestream\} at localhost:6379; run `count`"):
        say([])


def test_json_is_valid_without_nan(say: Say) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    out, _ = say([*POSTS, {"city": "london", "place": None, "sentiment": None, "created_at": None}], "--json")
    london, newyork, sydney = json.loads(out, parse_constant=refuse)
    assert newyork["places"][1] == {
        "place": LONGEST,
        "share": {
            "k": 1,
            "n": 3,
            "share": 1 / 3,
            "low": pytest.approx(0.0615, abs=1e-4),
            "high": pytest.approx(0.7923, abs=1e-4),
        },
        "quotient": pytest.approx(4 / 3),
        "sentiment": {"mean": None, "n": 0, "half": None},
    }
    assert newyork["hours"][22]["share"]["k"] == 4
    assert (newyork["posts"], newyork["classified"]["k"]) == (4, 3)
    assert (newyork["first_day"], newyork["last_day"], london["first_day"]) == ("2017-03-28", "2017-03-28", None)
    assert (london["places"], london["hours"], sydney["weekdays"]) == ([], [], [])


def test_csv_has_a_row_per_place_unrounded(say: Say) -> None:
    out, _ = say(POSTS, "--csv", "--top", "1")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(row["city"], row["place"], row["posts"], row["of"], row["not_classified"]) for row in rows] == [
        ("newyork", "bridge", "2", "3", "1"),
        ("newyork", LONGEST, "1", "3", "1"),
        ("sydney", "bridge", "1", "1", "0"),
    ]
    assert math.isclose(float(rows[0]["share"]), 2 / 3)
    assert (rows[1]["sentiment_mean"], rows[1]["sentiment_n"]) == ("", "0")


def test_a_mood_is_shown_from_thirty_captions_on(say: Say) -> None:
    """In table, CSV and JSON alike."""
    few, enough = [{"sentiment": 0.5}, {"sentiment": -0.1}] * 14, [{"sentiment": 0.5}, {"sentiment": -0.1}] * 15
    for posts, row in ((few, " – 28"), (enough, " +0.20±.11 30")):
        assert lines(say(posts)[0])[3].endswith(row)
        (of_csv,) = csv.DictReader(io.StringIO(say(posts, "--csv")[0]))
        (of_json,) = json.loads(say(posts, "--json")[0])
        sentiment = of_json["places"][0]["sentiment"]
        assert of_csv["sentiment_n"] == str(sentiment["n"]) == str(len(posts))
        assert [of_csv["sentiment_mean"] == "", sentiment["mean"] is None] == [len(posts) < 30] * 2
        assert [of_csv["sentiment_half_width"] == "", sentiment["half"] is None] == [len(posts) < 30] * 2


def test_languages_are_a_line_below_the_table_and_bars_or_csv_of_their_own(say: Say) -> None:
    posts: list[dict[str, Any]] = [{}, {}, {"language": "de", "sentiment": None}, {"language": None, "sentiment": None}]
    assert lines(say(posts)[0])[-1] == "languages: 50% en, 25% de, 25% not known"
    assert lines(say([{"language": None, "sentiment": None}], "--by", "language")[0]) == [
        "newyork: 0 of 1 posts with a known language"
    ]
    title, heading, _, first, second = lines(say(posts, "--by", "language")[0])
    assert (title, heading) == ("newyork: 3 of 4 posts with a known language", "language posts share 95 % CI")
    assert (first, second) == ("en 2 50.0% 15.0–85.0% " + "█" * 20, "de 1 25.0% 4.6–69.9% " + "█" * 10)
    rows = list(csv.DictReader(io.StringIO(say(posts, "--csv", "--by", "language")[0])))
    assert [(row["language"], row["posts"], row["of"]) for row in rows] == [("en", "2", "4"), ("de", "1", "4")]
    (city,) = json.loads(say(posts, "--json")[0])
    assert [(each["language"], each["share"]["k"]) for each in city["languages"]] == [("en", 2), ("de", 1)]


def test_sentiments_of_any_language_are_warned_of(say: Say) -> None:
    assert say([{}, {}])[1] == ""
    assert say([{}, {"language": ...}, {"city": "sydney", "language": ...}])[1] == (
        "warning: at least 2 sentiments are of captions in any language, by an earlier version: their means do not "
        "compare with those of English captions alone\n"
    )


def test_csv_of_hours_has_24_rows_per_city_with_known_times(say: Say) -> None:
    rows = list(csv.DictReader(io.StringIO(say(POSTS, "--csv", "--by", "hour")[0])))
    assert [(row["city"], row["hour"]) for row in rows] == [("newyork", str(hour)) for hour in range(24)]
    assert rows[22]["posts"] == rows[22]["of"] == "4"


@pytest.mark.parametrize("flags", [[], ["--json"], ["--csv"]])
def test_mixed_stamps_are_warned_of_on_stderr(say: Say, flags: list[str]) -> None:
    out, err = say([{}, {}, {"encoder": "another"}], *flags)
    assert "warning" not in out
    first, *stamps = err.splitlines()
    assert first.startswith("warning: these counters mix labels of different encoders")
    assert [line.split()[:2] + [line.split()[2].split("|")[0]] for line in stamps] == [
        ["1", "posts", "another"],
        ["2", "posts", "conse/efficientnet-lite0+minilm-l6"],
    ]


def test_names_that_look_like_markup_are_printed_as_they_are(say: Say) -> None:
    out, _ = say([{"city": "[red]x[/y]", "place": "[/bold]:smile:"}])
    assert "[red]x[/y]: 1 posts" in out
    assert "[/bold]:smile:" in out


def test_json_and_csv_exclude_each_other(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="^--json and --csv exclude each other$"):
        say(POSTS, "--json", "--csv")
    monkeypatch.setenv("PLACESTREAM_JSON", "true")
    with pytest.raises(UsageError, match="exclude"):
        say(POSTS, "--csv")


def test_the_variables_carry_the_prefix(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSON", "/usr/share/json")  # somebody else's
    assert say([{}])[0].startswith("newyork: 1 posts")
    monkeypatch.setenv("PLACESTREAM_JSON", "1")
    assert json.loads(say([{}])[0])[0]["city"] == "newyork"
    assert say([{}], "--no-json")[0].startswith("newyork: 1 posts")


SHOPS = {"level": "level2", "name": "shopping and dining", "confidence": 0.7}
ACROSS_KINDS = {"level": "synonyms", "name": "aqueduct|bridge|rope_bridge|viaduct", "confidence": 0.7}
OF_GROUPS: list[dict[str, Any]] = [
    {"place": "bar"},
    {"place": None, "broader": SHOPS},
    {"place": None, "broader": SHOPS},
    {"place": None, "broader": SHOPS | {"level": "level1", "name": "indoor"}},
    {"place": "bridge"},
    {"place": None, "broader": ACROSS_KINDS},
    {"place": None},
]


def test_groups_have_the_posts_of_their_places_and_the_broader_answers_that_lie_in_them(say: Say) -> None:
    out, err = say(OF_GROUPS, "--by", "group", "--csv")
    assert err == ""
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(row["group"], row["posts"], row["of"], row["broader"]) for row in rows] == [
        ("shopping and dining", "3", "6", "2"),
        ("_other", "2", "6", "2"),
        ("transportation", "1", "6", "0"),
    ]
    table, _ = say(OF_GROUPS, "--by", "group")
    assert "newyork: 7 posts, 2 classified, 5 not classified (4 with a broader answer)" in " ".join(table.split())


def test_places_that_the_label_set_does_not_have_are_said(say: Say, tmp_path: Path) -> None:
    path = tmp_path / "few.csv"
    path.write_text("category,wording,level2\nbar,a bar,drinks\n", "utf-8")
    out, err = say(OF_GROUPS, "--by", "group", "--places", str(path), "--csv")
    assert [line.split(",")[1:3] for line in out.splitlines()[1:]] == [["_other", "5"], ["drinks", "1"]]
    said = "warning: 5 posts are of places or groups that the label set few does not have; their group is _other"
    assert said in err
    assert said in say(OF_GROUPS, "--places", str(path), "--json")[1]
    assert (
        say([*OF_GROUPS, {"city": "sydney", "place": "bar"}], "--places", str(path), "--json", "--city", "sydney")[1]
        == ""
    )


def test_only_groups_need_the_label_set(say: Say) -> None:
    out, err = say(OF_GROUPS, "--places", "/nowhere/mine.csv", "--csv")
    assert out.startswith("city,place,")
    assert err == ""


def test_groups_of_a_label_set_without_level_2_are_refused(say: Say, tmp_path: Path) -> None:
    path = tmp_path / "plain.csv"
    path.write_text("category,wording\nbar,a bar\n", "utf-8")
    with pytest.raises(CommandError, match="the label set plain has no level2: --places FILE"):
        say(OF_GROUPS, "--by", "group", "--places", str(path))
