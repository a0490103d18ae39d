import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.proportion import proportion_confint

from consumer.evaluate.marks import agreement
from consumer.evaluate.marks.agreement import ANSWERS, ask, kappa_of, kappas
from consumer.evaluate.marks.marks import PostMarks, Sheet
from producer.base.errors import CommandError, UsageError


def mark(
    post_id: str, right: str = "", wrong: str = "", no_place: bool = False, cannot_tell: bool = False
) -> PostMarks:
    return PostMarks(
        post_id,
        "london",
        None,
        None,
        ("bar", "sky"),
        tuple(filter(None, right.split("|"))),
        tuple(filter(None, wrong.split("|"))),
        (),
        no_place,
        cannot_tell,
    )


def sheet(*posts: PostMarks, sample: str = "abc") -> Sheet:
    return Sheet(sample, ("one|p@1",), posts)


def marked(seed: int, mistakes: float) -> Sheet:
    """A person who marks 100 posts as everybody would, but for some mistakes."""
    chance = np.random.default_rng(seed)
    posts = []
    for number, bar in enumerate(np.random.default_rng(0).random(100) < 0.5):
        right, wrong = ("bar", "sky") if bar != (chance.random() < mistakes) else ("sky", "bar")
        posts.append(mark(str(number), right, wrong))
    return sheet(*posts)


def _bar_only(post: PostMarks) -> PostMarks:
    right, wrong = (tuple(label for label in of if label == "bar") for of in (post.right, post.wrong))
    return replace(post, labels=("bar",), right=right, wrong=wrong)


def test_kappa_is_scikit_learns_with_an_interval_around_it() -> None:
    one, other = marked(1, 0.1), marked(2, 0.2)
    about_labels, about_pictures = kappas(["anna", "ben"], ask([one, other]), 300, 1)
    answers = [[post.verdict(label) for post in each.posts for label in ("bar", "sky")] for each in (one, other)]
    assert about_labels.kappa == pytest.approx(cohen_kappa_score(*answers))
    assert about_labels.agreement == pytest.approx(np.mean(np.array(answers[0]) == np.array(answers[1])))
    assert about_labels.low < about_labels.kappa < about_labels.high
    assert (about_labels.items, about_labels.left_out) == (200, 0)
    assert about_pictures.items == 100
    assert np.isnan(about_pictures.kappa)  # everybody says 'a place': chance would do as well


@pytest.mark.parametrize(("agree", "kappa"), [(True, 1.0), (False, -1.0)])
def test_where_all_answers_agree_or_none_the_interval_is_no_point(agree: bool, kappa: float) -> None:
    """Two answers to each of six posts, half of them right: chance alone gives half of the answers twice."""
    one = sheet(*(mark(str(number), "bar", "sky") for number in range(6)))
    other = one if agree else sheet(*(mark(str(number), "sky", "bar") for number in range(6)))
    found = kappas(["anna", "ben"], ask([one, other]), 300, 1)[0]
    low, high = proportion_confint(6 if agree else 0, 6, method="wilson")
    assert found.kappa == pytest.approx(kappa)
    assert [found.low, found.high] == pytest.approx([(low - 0.5) / 0.5, (high - 0.5) / 0.5])


def test_labels_of_one_post_are_drawn_together() -> None:
    """A person who swaps two labels errs once, not twice: the interval is as wide as that of half the answers."""
    one, other = marked(1, 0.1), marked(2, 0.2)
    both = kappas(["anna", "ben"], ask([one, other]), 1_000, 1)[0]
    halves = [sheet(*(_bar_only(post) for post in each.posts)) for each in (one, other)]
    single = kappas(["anna", "ben"], ask(halves), 1_000, 1)[0]
    assert both.high - both.low == pytest.approx(single.high - single.low, rel=0.1)


def test_the_kappa_of_the_rounds_is_scikit_learns() -> None:
    chance = np.random.default_rng(3)
    one, other = chance.integers(3, size=(2, 50))
    table = np.zeros((1, 3, 3))
    np.add.at(table[0], (one, other), 1)
    assert kappa_of(table)[0] == pytest.approx(cohen_kappa_score(one, other))
    assert np.isnan(kappa_of(np.array([[[5.0, 0], [0, 0]]])))[0]


def test_what_one_person_did_not_answer_is_left_out_and_not_knowing_is_an_answer() -> None:
    one = sheet(mark("1", "bar"), mark("2", "bar", "sky"), mark("3", cannot_tell=True), mark("4", no_place=True))
    other = sheet(mark("1", "bar", "sky"), mark("2", "sky", "bar"), mark("3", "bar", "sky"), mark("4"))
    questions = {(each.post_id, each.label): each.answers for each in ask([one, other])}
    assert questions == {
        ("1", ""): ("a place", "a place"),
        ("1", "bar"): ("right", "right"),
        ("1", "sky"): (None, "wrong"),
        ("2", ""): ("a place", "a place"),
        ("2", "bar"): ("right", "wrong"),
        ("2", "sky"): ("wrong", "right"),
        ("3", ""): ("cannot tell", "a place"),
        ("3", "bar"): ("cannot tell", "right"),
        ("3", "sky"): ("cannot tell", "wrong"),
        ("4", ""): ("no place", None),
        ("4", "bar"): ("wrong", None),
        ("4", "sky"): ("wrong", None),
    }
    labels = kappas(["anna", "ben"], ask([one, other]), 100, 1)[0]
    assert (labels.items, labels.left_out) == (5, 3)
    assert set(ANSWERS) == {"right", "wrong", "cannot tell"}


def test_the_list_to_settle_has_what_differs_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet(mark("1", "bar"), mark("2", "bar", "sky"), mark("3", no_place=True)).write(tmp_path / "anna.csv")
    sheet(mark("1", "bar", "sky"), mark("2", "sky", "bar"), mark("3", "", "bar|sky")).write(tmp_path / "ben.csv")
    sheet(mark("1", "bar"), mark("2", "bar", "sky"), mark("3", no_place=True)).write(tmp_path / "eve.csv")
    paths = [str(tmp_path / f"{name}.csv") for name in ("anna", "ben", "eve")]
    assert agreement.main([*paths, "-o", str(tmp_path / "settle.csv"), "--rounds", "100"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in printed[::2][:3]] == [
        "anna, ben, labels",
        "anna, eve, labels",
        "ben, eve, labels",
    ]
    assert printed[-1] == f"3 answers to settle: {tmp_path / 'settle.csv'}"
    with (tmp_path / "settle.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["post_id", "city", "label", "anna", "ben", "eve", "about"],
        ["2", "london", "bar", "right", "wrong", "right", "label"],
        ["2", "london", "sky", "wrong", "right", "wrong", "label"],
        ["3", "london", "", "no place", "a place", "no place", "picture"],
    ]


def test_moods_are_compared_where_both_marked_them() -> None:
    one = [replace(mark("1"), mood="positive"), replace(mark("2"), mood="neutral"), replace(mark("3"), mood="negative")]
    other = [replace(mark("1"), mood="positive"), replace(mark("2"), mood="negative"), mark("3")]
    *_, about_moods = kappas(["anna", "ben"], ask([sheet(*one), sheet(*other)]), 100, 1)
    assert (about_moods.about, about_moods.items, about_moods.left_out) == ("mood", 2, 1)
    assert about_moods.agreement == 0.5


def test_one_sheet_or_another_sample_is_one_line(tmp_path: Path) -> None:
    sheet(mark("1", "bar")).write(tmp_path / "anna.csv")
    sheet(mark("1", "bar"), sample="def").write(tmp_path / "ben.csv")
    with pytest.raises(UsageError, match="two sheets at least"):
        agreement.main([str(tmp_path / "anna.csv")])
    with pytest.raises(CommandError, match="ben.csv is the sheet of another sample than .*anna.csv"):
        agreement.main([str(tmp_path / "anna.csv"), str(tmp_path / "ben.csv")])


def test_sheets_without_a_common_answer_have_no_kappa(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet(mark("1", "bar"), mark("2")).write(tmp_path / "anna.csv")
    sheet(mark("1"), mark("2", "bar")).write(tmp_path / "ben.csv")
    agreement.main([str(tmp_path / "anna.csv"), str(tmp_path / "ben.csv")])
    assert "anna, ben, labels: nothing that both answered" in capsys.readouterr().out
