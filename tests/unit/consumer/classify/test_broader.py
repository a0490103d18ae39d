from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from consumer.classify.broader import BroaderAnswers
from consumer.classify.decision import Decision
from consumer.classify.head import Head
from consumer.classify.places import Group, Place, Places

PLACES = Places(
    "eight",
    (
        Place("gallery", "a gallery", level1="in", level2="art", synonyms=("gallery", "studio")),
        Place("studio", "a studio", level1="in", level2="art", synonyms=("gallery", "studio", "atelier")),
        Place("museum", "a museum", level1="in", level2="history"),
        Place("bar", "a bar", level1="in"),
        Place("lake", "a lake", level1="out", level2="water"),
        Place("sea", "the sea", level1="out", level2="water"),
        Place("field", "a field", level1="out", level2="land"),
        Place("hill", "a hill", level1="out", level2="land"),
    ),
)
ANSWERS = BroaderAnswers(PLACES.groups, PLACES.categories)


def of(threshold: float = 0.6, **shares: float) -> tuple[str, str, float] | None:
    """The answer for these probabilities; what is left is spread over the other places."""
    rest = (1 - sum(shares.values())) / (len(PLACES.places) - len(shares))
    (found,) = ANSWERS.of(np.array([[shares.get(name, rest) for name in PLACES.categories]]), threshold)
    return None if found is None else (found.level, found.name, round(found.confidence, 4))


def test_the_groups_of_a_label_set_are_its_levels_parts() -> None:
    assert PLACES.groups[:4] == (
        Group("synonyms", "gallery|studio", ("gallery", "studio")),
        Group("level2", "art", ("gallery", "studio")),
        Group("level2", "history", ("museum",)),
        Group("level2", "water", ("lake", "sea")),
    )
    assert PLACES.groups[-1] == Group("level1", "out", ("lake", "sea", "field", "hill"))
    assert Places("plain", (Place("bar", "a bar"), Place("pub", "a pub", synonyms=("pub",)))).groups == ()


def test_the_groups_of_places205_are_not_nested() -> None:
    groups = Places.load().groups
    number = {level: sum(group.level == level for group in groups) for level in ("synonyms", "level2", "level1")}
    assert number == {"synonyms": 39, "level2": 15, "level1": 3}
    of_level1 = {member: group.name for group in groups if group.level == "level1" for member in group.members}
    crossing = [group.name for group in groups if len({of_level1[member] for member in group.members}) > 1]
    assert "transportation" in crossing
    assert len(crossing) == 5


@pytest.mark.parametrize(
    ("shares", "answer"),
    [
        ({"gallery": 0.35, "studio": 0.27}, ("synonyms", "gallery|studio", 0.62)),
        ({"gallery": 0.3, "studio": 0.29}, None),
        ({"gallery": 0.45, "studio": 0.45}, ("synonyms", "gallery|studio", 0.9)),  # as likely are art and in
        ({"lake": 0.45, "sea": 0.4}, ("level2", "water", 0.85)),
        ({"lake": 0.35, "sea": 0.35}, None),
        ({"gallery": 0.31, "studio": 0.3, "lake": 0.2, "sea": 0.19}, ("synonyms", "gallery|studio", 0.61)),
    ],
)
def test_the_answer_is_the_finest_group_that_is_sure(
    shares: dict[str, float], answer: tuple[str, str, float] | None
) -> None:
    assert of(**shares) == answer


def test_of_groups_of_one_level_the_likeliest_is_the_answer() -> None:
    assert of(0.05, lake=0.42, sea=0.41, field=0.08, hill=0.08) == ("level2", "water", 0.83)
    assert of(0.05, gallery=0.0, studio=0.0, field=0.45, hill=0.44) == ("level2", "land", 0.89)


def test_a_kind_of_place_must_tell_a_bit() -> None:
    half = {"lake": 0.25, "sea": 0.25, "field": 0.25, "hill": 0.249}
    assert of(**half) is None, "of two halves only certainty does"
    thirds = Places("six", tuple(Place(str(number), "x", level1=str(number // 2)) for number in range(6)))
    answers = BroaderAnswers(thirds.groups, thirds.categories)
    unsure, sure = ([share / 2] * 2 + [(1 - share) / 4] * 4 for share in (0.89, 0.91))
    nothing, found = answers.of(np.array([unsure, sure]), 0.6)
    assert nothing is None
    assert found is not None
    assert found.name == "0"
    whole = BroaderAnswers([Group("level1", "all", ("a", "b"))], ["a", "b"])
    assert whole.of(np.array([[0.5, 0.5]]), 0.0) == [None]


def test_a_sum_that_is_level_with_the_threshold_reaches_it_however_it_is_rounded() -> None:
    shares = np.array([[0.3, 0.3 - 1e-15, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05]])
    assert ANSWERS.choose(ANSWERS.sums(shares), 0.6).tolist() == [0]


def head(of_places: Places = PLACES, **decision: Any) -> Head:
    vectors = np.eye(len(of_places.places), dtype=np.float32)
    whole = Decision(**({"threshold": 0.4, "broader_threshold": 0.6, "gate": 0.9} | decision))
    return Head(of_places.categories, vectors, 1, 1, whole, groups=of_places.groups)


IMAGE = np.array([[0.35, 0.3, *[0.05] * 5, 0.1], [0.41, 0.3, *[0.05] * 5, 0.04], [0.125] * 8])
NOTHING: tuple[NDArray[np.intp], NDArray[np.float64]] = np.array([], np.intp), np.empty((0, 8))


def test_only_a_post_without_a_place_has_a_broader_answer() -> None:
    labels = head().labels(IMAGE, *NOTHING)
    assert [label.broader and label.broader.name for label in labels] == ["gallery|studio", None, None]
    assert [label.place for label in labels] == [None, "gallery", None]


def test_picture_and_caption_decide_together_on_the_broader_answer() -> None:
    caption = np.array([[0.0, 0.0, 0.0, 0.0, 0.34, 0.33, 0.33, 0.0]])
    (label,) = head().labels(IMAGE[:1], np.array([0]), caption)
    assert (label.decided_by, label.broader) == ("ensemble", None)


PLAIN = Places("plain", tuple(Place(str(number), "x") for number in range(8)))


@pytest.mark.parametrize("without", [head(broader_threshold=None), head(PLAIN)])
def test_without_a_threshold_or_groups_there_are_no_broader_answers(without: Head) -> None:
    assert [label.broader for label in without.labels(IMAGE, *NOTHING)] == [None] * 3
