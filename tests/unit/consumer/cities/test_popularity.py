import base64
import csv
import hashlib
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from statsmodels.stats.contingency_tables import Table2x2
from statsmodels.stats.proportion import proportion_confint

from consumer.cities import figures, plots, popularity
from consumer.cities.corrected import Judged, correct, judge
from consumer.cities.figures import CityReport, PlaceReport, distances, reports, rounds_of
from consumer.cities.popularity import Counted
from consumer.count.figures import ENOUGH, Sentiment, Z, week
from consumer.count.snapshot import Counters
from consumer.evaluate.marks.marks import Sheet
from consumer.evaluate.samples.folder import Sample, write_sample
from consumer.evaluate.scores.decide import ENSEMBLES, decide
from consumer.evaluate.scores.folder import Scores
from producer.base.errors import CommandError, UsageError
from tests.labels import counted, counters
from tests.unit.consumer.classify.photos import plain
from tests.unit.consumer.evaluate.simulated import CATEGORIES, everyone, simulate

STAMP = "simulated|ten@0123abcd|ensemble weights=0.8/0.8 gate=0.6 threshold=0.5"


def of_place(found: list[CityReport], city: str, place: str) -> PlaceReport:
    (wanted,) = [
        each for report in found if report.figures.city == city for each in report.places if each.place == place
    ]
    return wanted


CITIES = {
    "sydney": {"coast": 30, "bridge": 10, "_not_classified": 60},
    "london": {"bridge": 50, "palace": 25, "coast": 5, "_not_classified": 20},
    "miami": {"coast": 8, "_not_classified": 2},
}


def test_both_denominators_and_the_bounds_of_abstention() -> None:
    coast = of_place(reports(counters(CITIES)), "sydney", "coast")
    assert (coast.of_all.k, coast.of_all.n, coast.of_classified.n) == (30, 100, 40)
    for share, n in ((coast.of_all, 100), (coast.of_classified, 40)):
        assert (share.low, share.high) == pytest.approx(proportion_confint(30, n, method="wilson"), abs=1e-9)
    assert (coast.of_all.share, coast.highest) == pytest.approx((0.30, 0.90))


def test_the_ratio_is_to_the_other_cities_alone_with_the_interval_of_statsmodels() -> None:
    ratio = of_place(reports(counters(CITIES)), "sydney", "coast").ratio
    assert ratio is not None
    table = Table2x2(np.array([[30, 10], [13, 75]]))
    assert ratio.value == pytest.approx((30 / 40) / (13 / 88))
    assert (ratio.low, ratio.high) == pytest.approx(table.riskratio_confint(), rel=1e-6)


def test_a_place_of_one_city_only_has_an_infinite_ratio_and_one_city_has_none() -> None:
    only = of_place(reports(counters(CITIES)), "london", "palace").ratio
    assert only is not None
    assert math.isinf(only.value)
    alone = of_place(reports(counters({"sydney": CITIES["sydney"]})), "sydney", "coast")
    assert (alone.ratio, alone.quotient) == (None, None)


def test_a_place_of_all_posts_here_or_elsewhere_is_not_taken_for_certain() -> None:
    """Of one post Katz's interval is that of the other cities alone; with no post elsewhere either it is a point."""
    both = of_place(reports(counters({"sydney": {"coast": 3}, "miami": {"coast": 5}})), "sydney", "coast").ratio
    one = of_place(
        reports(counters({"sydney": {"coast": 1}, "miami": {"coast": 500, "bridge": 500}})), "sydney", "coast"
    ).ratio
    assert both is not None
    assert one is not None
    assert (both.value, one.value) == (1, 2)
    assert both.low < 0.7 < 1.3 < both.high
    assert [one.low, one.high] == pytest.approx([0.413, 2.13], rel=0.01)


def test_sentiment_is_the_mean_with_its_interval_from_thirty_captions_on() -> None:
    chance = np.random.default_rng(1)
    values = chance.integers(-10_000, 10_001, 50)
    sums = {"coast": int(values.sum()), "coast:sq": int((values**2).sum()), "coast:n": 50}
    found = Sentiment.of(sums, "coast")
    assert found.mean == pytest.approx(values.mean() / 10_000)
    assert found.half == pytest.approx(Z * values.std(ddof=1) / 10_000 / math.sqrt(50))
    too_few = Sentiment.of(sums | {"coast:n": ENOUGH - 1}, "coast")
    assert math.isnan(too_few.mean)
    assert (too_few.n, too_few.enough) == (29, False)


def test_captions_of_one_and_the_same_sentiment_have_an_interval() -> None:
    """Thirty times the same advertisement say little about the next caption."""
    same = Sentiment.of({"coast": 30 * 5_000, "coast:sq": 30 * 5_000**2, "coast:n": 30}, "coast")
    assert same.mean == pytest.approx(0.5)
    assert same.half == pytest.approx(1.5 * proportion_confint(0, 30, method="wilson")[1])


def test_a_cell_of_the_week_is_shared_among_all_posts_of_that_hour() -> None:
    hours = {"coast|0|9": 3, "bridge|0|9": 1, "_not_classified|0|9": 4, "coast|6|23": 1}
    coast, everything = week(hours, "coast"), week(hours)
    assert (coast[0][9], everything[0][9]) == (3, 8)
    assert (coast[6][23], everything[6][23]) == (1, 1)
    assert (sum(map(sum, coast)), sum(map(sum, everything))) == (4, 9)


def test_equal_cities_have_no_distance_and_disjoint_ones_the_whole() -> None:
    one = {"coast": 40, "bridge": 20, "_not_classified": 5}
    found = distances(counters({"a": one, "b": {"coast": 20, "bridge": 10}, "c": {"palace": 30}, "d": {}}), seed=1)
    by_pair = {(each.city, each.other): each for each in found}
    assert set(by_pair) == {("a", "b"), ("a", "c"), ("b", "c")}
    equal, apart = by_pair["a", "b"], by_pair["a", "c"]
    assert equal.distance == pytest.approx(0, abs=1e-7)
    assert equal.p == 1
    assert apart.distance == pytest.approx(1)
    assert apart.p == pytest.approx(1 / 1001)
    assert apart.p_holm == pytest.approx(3 / 1001)
    assert apart.posts == (60, 30)


def test_of_many_cities_those_with_most_posts_are_tested_and_all_have_a_distance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """200 cities are 19,900 pairs, and took 15 minutes without a word."""
    monkeypatch.setattr(figures, "TESTED", 3)
    chance = np.random.default_rng(1)
    posts = {f"city{number}": dict(zip("abcd", chance.integers(1, 50, 4).tolist(), strict=True)) for number in range(6)}
    for city in ("city1", "city3", "city4"):
        posts[city]["a"] += 500
    found = {(each.city, each.other): each for each in distances(counters(posts), seed=1)}
    assert len(found) == 15
    assert {pair for pair, each in found.items() if each.tested} == {
        ("city1", "city3"),
        ("city1", "city4"),
        ("city3", "city4"),
    }
    for (one, other), each in found.items():
        counts = [list(posts[city].values()) for city in (one, other)]
        assert each.distance == pytest.approx(jensenshannon(*counts, base=2))
        assert math.isnan(each.p_holm) == math.isnan(each.by_chance) == (not each.tested)


@pytest.mark.parametrize("pairs", [1, 45, 66])
def test_so_many_rounds_that_holm_leaves_small_ps(pairs: int) -> None:
    assert pairs / (1 + rounds_of(pairs)) < 0.025


def test_dealing_counts_is_shuffling_posts() -> None:
    one, two = np.array([12, 6, 2, 0]), np.array([9, 9, 9, 3])
    names = ["p0", "p1", "p2", "p3"]
    (found,) = distances(
        counters({"a": dict(zip(names, one.tolist(), strict=True)), "b": dict(zip(names, two.tolist(), strict=True))}),
        seed=3,
    )
    posts = np.repeat(np.arange(4), one + two)
    chance = np.random.default_rng(5)
    shuffled = []
    for _ in range(4_000):
        chance.shuffle(posts)
        a, b = (np.bincount(part, minlength=4) for part in (posts[:20], posts[20:]))
        shuffled.append(float(jensenshannon(a, b, base=2)))
    assert found.distance == pytest.approx(jensenshannon(one, two, base=2))
    assert found.by_chance == pytest.approx(np.mean(shuffled), rel=0.03)
    assert found.p == pytest.approx(np.mean(np.array(shuffled) >= found.distance), abs=0.02)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return simulate(tmp_path_factory.mktemp("simulated") / "x", "c", posts=400, no_place=0.2)


def test_corrected_shares_are_those_of_the_right_labels(simulated: Any) -> None:
    """The sample is the whole dataset: share × precision is exactly the share of posts labelled so, and rightly."""
    scores = Scores.open(simulated.scores)
    ids = list(simulated.truth)
    decided = decide(ENSEMBLES[2], scores.of(ids), scores.info)
    labels = [
        scores.info.categories[label] if confidence >= 0.5 else None
        for label, confidence in zip(decided.label, decided.confidence, strict=True)
    ]
    posts: dict[str, int] = {}
    for label in labels:
        posts[label or "_not_classified"] = posts.get(label or "_not_classified", 0) + 1
    judged = judge(Sample.open(simulated.sample), simulated.sheet, STAMP)
    found = correct(judged, {"chicago": posts}, seed=1)
    assert judged.posts == sum(label is not None for label in labels)
    assert judged.unjudged == 0
    assert {place for _, place in found} == {label for label in labels if label}
    for (_, place), corrected in found.items():
        right = sum(label == place == simulated.truth[post_id] for label, post_id in zip(labels, ids, strict=True))
        assert corrected.share == pytest.approx(right / 400)
        assert corrected.judged == posts[place]
        assert corrected.low <= corrected.share <= corrected.high
        assert corrected.low < corrected.high
    assert any(corrected.precision < 1 for corrected in found.values())


def all_judged(right: bool, posts: int = 3) -> Judged:
    """So many posts that were labelled coast, and others without a label."""
    labels = np.array([0] * posts + [-1] * 20)
    return Judged(("coast",), frozenset({"coast"}), labels, (labels == 0) & right, everyone(posts + 20), 0)


@pytest.mark.parametrize("right", [True, False])
def test_where_all_judged_labels_are_right_or_none_the_corrected_interval_is_no_point(right: bool) -> None:
    (found,) = correct(all_judged(right), {"sydney": {"coast": 30, "_not_classified": 70}}, seed=1).values()
    share = proportion_confint(30, 100, method="wilson")
    precision = proportion_confint(3 if right else 0, 3, method="wilson")
    assert (found.precision, found.judged) == (right, 3)
    assert [found.low, found.high] == pytest.approx([a * b for a, b in zip(share, precision, strict=True)])
    assert found.low < found.high


def test_a_city_whose_posts_all_carry_one_label_has_an_interval_of_their_number() -> None:
    half = all_judged(True, 4)
    half.right[:2] = False
    (found,) = correct(half, {"sydney": {"coast": 3}}, seed=1).values()
    assert found.share == 0.5
    assert found.low < proportion_confint(3, 3, method="wilson")[0] * 0.5


def test_a_sample_drawn_by_pre_labels_has_no_precision_of_the_dataset(tmp_path: Path) -> None:
    of_a = simulate(tmp_path, "a", posts=100, per_class=5)
    with pytest.raises(
        CommandError, match=r"^--sample .* was drawn by pre-labels, .*; take a sample-c, or a sample-b$"
    ):
        judge(Sample.open(of_a.sample), of_a.sheet, STAMP)


def test_a_sample_of_some_classes_corrects_only_these(tmp_path: Path) -> None:
    """Of a place that is no stratum it holds only the posts that the picture alone takes for one of the strata."""
    of_b = simulate(tmp_path, "b", posts=300, per_class=20)
    sample = Sample.open(of_b.sample)
    drawn = [each.place for each in sample.strata[:3]]
    posts = [post for post in sample.posts if post.stratum in drawn]
    some = write_sample(tmp_path / "some", "b", 1, Scores.open(of_b.scores), sample.strata[:3], posts)
    sheet = Sheet.read(of_b.sheet)
    Sheet(some.sha256, sheet.pooled, tuple(each for each in sheet.posts if each.stratum in drawn)).write(
        tmp_path / "some.csv"
    )
    judged = judge(
        some, tmp_path / "some.csv", STAMP.replace("0.8/0.8", "0.2/0.8").replace("threshold=0.5", "threshold=0")
    )
    named = {judged.categories[label] for label in judged.labels if label >= 0}
    assert named > set(drawn), "the ensemble gives other labels, too"
    found = correct(judged, {"chicago": dict.fromkeys(CATEGORIES, 10)}, seed=1)
    assert {place for _, place in found} == set(drawn)


def test_marks_correct_after_their_scores_have_moved(write: "Write", tmp_path: Path) -> None:
    of_c = simulate(tmp_path / "c", "c", posts=100)
    of_c.scores.rename(tmp_path / "moved")
    found = counters({"chicago": {"bridge": 30, "_not_classified": 70}}, stamps={STAMP: 100})
    flags = ["--sample", str(of_c.sample), "--marks", str(of_c.sheet)]
    with pytest.raises(CommandError, match="--sample-scores says where it is now"):
        write(found, *flags)
    assert "Corrected shares" in write(found, *flags, "--sample-scores", str(tmp_path / "moved"))


def test_marks_of_another_model_say_nothing(simulated: Any) -> None:
    sample = Sample.open(simulated.sample)
    with pytest.raises(CommandError, match="^the marks are of labels by simulated with ten@0123abcd, the counted"):
        judge(sample, simulated.sheet, STAMP.replace("simulated", "clip"))
    with pytest.raises(CommandError, match="decided by 'majority'"):
        judge(sample, simulated.sheet, STAMP.replace("ensemble", "majority"))


class Write:
    """`evaluate popularity` on given counters; the page, and the folder beside it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.page, self.folder = folder / "page.html", folder / "page"
        self._monkeypatch = monkeypatch

    def __call__(self, found: Counters, *flags: str) -> str:
        self._monkeypatch.setattr(popularity, "_from_redis", lambda settings: Counted(found, "counters"))
        assert popularity.main(["-o", str(self.page), *flags]) == 0
        return self.page.read_text("utf-8")

    def table(self, name: str) -> list[dict[str, str]]:
        return list(csv.DictReader((self.folder / name).read_text("utf-8-sig").splitlines()))


@pytest.fixture
def draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """With its plots, which take most of the time."""
    return Write(tmp_path, monkeypatch)


@pytest.fixture
def write(draw: Write, monkeypatch: pytest.MonkeyPatch) -> Write:
    """With one pixel instead of each plot."""
    monkeypatch.setattr(plots, "png", lambda figure: plain("white", size=(1, 1)))
    return draw


NASTY = '<script>alert("1")</script> $x$'


def test_the_page_is_one_file_that_loads_nothing_and_escapes_names(draw: Write) -> None:
    html = draw(counted({"city": NASTY, "place": "a<b>c"}, {"city": NASTY, "place": None}, {"city": "sydney"}))
    assert "<script" not in html
    assert "a<b>c" not in html
    assert "&lt;script&gt;alert(" in html
    assert not re.search(r"(?:src|href)=(?!\"(?:data:image/png;base64,|#))", html)
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" in html.replace(
        "&#39;", "'"
    )
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in draw.folder.glob("*.png"))
    assert {path.suffix for path in draw.folder.iterdir()} == {".png", ".csv"}
    assert all(path.read_bytes().startswith(b"\xef\xbb\xbf") for path in draw.folder.glob("*.csv"))


def test_the_page_names_denominators_and_what_was_not_classified(write: Write) -> None:
    html = " ".join(write(counters(CITIES)).split())
    assert "100 posts: 40 classified (40.0 %), <strong>60 not classified</strong>" in html
    assert "Their dates are not known.</p>" in html
    assert "Independent posts." in html
    rows = {(row["city"], row["place"]): row for row in write.table("places.csv")}
    coast = rows["sydney", "coast"]
    counts = [coast[column] for column in ("posts", "of_all", "of_classified", "not_classified")]
    assert counts == ["30", "100", "40", "60"]
    assert (float(coast["bound_low"]), float(coast["bound_high"])) == (0.3, 0.9)
    assert coast["sentiment_mean"] == ""
    assert [row["known_local_time"] for row in write.table("cities.csv")] == ["0", "0", "0"]


def test_dates_are_told_where_they_are_known(write: Write) -> None:
    undated = {"created_at": None}
    html = write(counted({}, {"created_at": "2017-07-01T03:59:59Z"}, undated, {"city": "sydney"} | undated))
    assert "2 of them have a known local time: from 2017-03-28 to 2017-06-30." in html
    assert "Posts from 2017-03-28 to 2017-06-30." in html
    assert "Their dates are not known.</p>" in html
    assert [(row["city"], row["first_day"], row["last_day"]) for row in write.table("cities.csv")] == [
        ("newyork", "2017-03-28", "2017-06-30"),
        ("sydney", "", ""),
    ]
    assert [(row["weekday"], row["hour"], row["share"]) for row in write.table("hours.csv")] == [
        ("Tuesday", "22", "1.0"),
        ("Friday", "23", "1.0"),
    ]


def test_dates_of_which_an_earlier_version_counted_none_are_not_guessed(write: Write) -> None:
    found = counted({}, {"created_at": "2017-07-01T03:59:59Z"})
    del found.days["newyork"]["2017-03-28"]
    html = write(found)
    assert "2017-06-30" not in html
    assert "an earlier version counted some of them (<code>recount</code> adds the dates" in html
    assert "The range of dates is not known." in html


def test_the_page_says_which_languages_there_are_and_where_moods_are_of_any(write: Write) -> None:
    english: list[dict[str, Any]] = [
        {},
        {},
        {"language": "de", "sentiment": None},
        {"language": None, "sentiment": None},
    ]
    html = write(counted(*english))
    assert "Languages: 50 % en, 25 % de, 25 % not known" in html
    assert "of captions in any language" not in html
    assert "At least 1 of these sentiments are of captions in any language" in write(counted({}, {"language": ...}))
    assert "Their languages are not known.</p>" in write(counters(CITIES))


def test_a_single_city_without_anything_classified_has_a_page(write: Write) -> None:
    html = write(counted({"place": None, "created_at": None}))
    for empty in ("No post of this city was classified.", "No local time is known", "It takes two cities"):
        assert empty in html
    assert write.table("places.csv") == write.table("distances.csv") == []


def test_mixed_settings_are_said_on_the_page_and_on_stderr(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    html = write(counted({}, {"encoder": "another"}))
    assert "settings, which do not compare" in html
    assert "another|" in html
    assert capsys.readouterr().err.startswith("warning: these posts were labelled with 2 different settings")


def test_posts_that_were_counted_twice_are_said_on_the_page_and_on_stderr(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    html = write(replace(counted({}), ids=300, ids_of=600))
    said = "600 posts were counted, of only about 300 different ids: a dataset was sent twice"
    assert said in html
    assert said in capsys.readouterr().err


def test_marks_correct_the_shares_on_the_page(write: Write, simulated: Any) -> None:
    found = counters({"chicago": {"bridge": 30, "_not_classified": 70}}, stamps={STAMP: 100})
    html = write(found, "--sample", str(simulated.sample), "--marks", str(simulated.sheet))
    assert "Corrected shares take out wrong labels only." in html
    (row,) = write.table("places.csv")
    assert float(row["corrected_share_of_all"]) == pytest.approx(0.3 * float(row["precision"]))
    mixed = counters({"chicago": {"bridge": 30}}, stamps={STAMP: 10, "another|x|y": 20})
    with pytest.raises(CommandError, match="^--marks: the posts were labelled with several settings"):
        write(mixed, "--sample", str(simulated.sample), "--marks", str(simulated.sheet))


def test_figures_say_of_how_many_posts_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(plots, "png", drawn.append)
    (city,) = reports(counters({"sydney": CITIES["sydney"]}))
    plots.shares(city, 5)
    plots.heat(city, {"coast|0|9": 30, "_not_classified|0|9": 1_200}, 1)
    shares, heat = drawn
    assert [text.get_text() for text in shares.legends[0].get_texts()] == ["of 40 classified posts", "of all 100 posts"]
    titles = [axes.get_title(loc="left") for axes in heat.axes[:2]]
    assert [title.split(":")[0] for title in titles] == ["all 1,230 posts", "coast, 30 posts"]


def test_file_names_keep_their_letters(write: Write) -> None:
    """One form of each: macOS takes letters apart."""
    write(counters({"São Paulo": {"coast": 1}, "東京/都": {"coast": 1}, "a/../b": {"coast": 1}, "🙂": {"coast": 1}}))
    assert sorted(path.name for path in write.folder.glob("shares-*.png")) == [
        "shares-01-São-Paulo.png",
        "shares-02-a-b.png",
        "shares-03-東京-都.png",
        "shares-04-city.png",
    ]


def test_marks_of_a_few_posts_a_class_are_warned_of(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of_b = simulate(tmp_path / "b", "b", posts=100, per_class=4)
    html = write(
        counters({"chicago": {"bridge": 30, "_not_classified": 70}}, stamps={STAMP: 100}),
        *("--sample", str(of_b.sample), "--marks", str(of_b.sheet)),
    )
    assert "warning: 10 of 10 classes have fewer than 10 posts to judge by" in capsys.readouterr().err
    assert "10 of 10 classes have fewer than 10 posts to judge by" in html


def test_a_page_of_many_cities_shows_those_that_were_tested_and_says_so(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "TESTED", 2)
    html = " ".join(write(counters(CITIES)).split())
    assert len(re.findall(r"<th scope=\"row\">[a-z]+ – [a-z]+</th>", html)) == 1
    assert "between the 2 cities with most classified posts: <code>distances.csv</code> has all 3 pairs" in html
    assert sorted((row["city"], row["other"], row["p"] != "") for row in write.table("distances.csv")) == [
        ("london", "miami", False),
        ("london", "sydney", True),
        ("miami", "sydney", False),
    ]


def test_the_page_says_of_which_places_a_sample_of_classes_speaks(write: Write, tmp_path: Path) -> None:
    of_b = simulate(tmp_path / "b", "b", posts=200, per_class=10)
    found = counters({"chicago": {"bridge": 30, "castle": 10, "_not_classified": 60}}, stamps={STAMP: 100})
    html = write(found, "--sample", str(of_b.sample), "--marks", str(of_b.sheet))
    assert "The sample was drawn from 10 places (bridge, viaduct, " in html
    assert html.count("not in the sample") == 1
    rows = {row["place"]: row for row in write.table("places.csv")}
    assert rows["castle"]["precision"] == ""
    assert rows["bridge"]["precision"] != ""


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["-o", "page.txt"], "page.txt must end in .html"),
        (["-o", "page.html", "--marks", "x.csv"], "--sample and --marks belong together"),
        ([], "OUTPUT"),
    ],
)
def test_wrong_flags_are_one_line(flags: list[str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTPUT", "somebody-elses.html")
    with pytest.raises(UsageError, match=re.escape(message)):
        popularity.main(flags)


@pytest.mark.slow
def test_the_same_counters_and_seed_give_the_same_bytes(draw: Write) -> None:
    found = counted({}, {"city": "sydney"}, {"city": "sydney", "place": "coast"})
    first = draw(found, "--heat-maps", "0")
    assert draw(found, "--heat-maps", "0") == first
    assert json.dumps(draw.table("distances.csv")) != "[]"
