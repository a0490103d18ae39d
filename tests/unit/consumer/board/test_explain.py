from typing import Any

import pytest

from consumer.board.explain import Parts, number, parts, why
from consumer.labeled_post import LabeledPost
from tests.labels import labeled

CONDITIONAL = {"ensemble": "conditional", "weights": [0.8, 0.8], "gate": 0.6, "threshold": 0.3}


def ranking(*top: tuple[str, float]) -> dict[str, Any]:
    return {"place": top[0][0], "confidence": top[0][1], "top": [list(each) for each in top]}


def both(image: dict[str, Any], text: dict[str, Any], top: list[Any], **changes: Any) -> Any:
    place, confidence = top[0]
    whole = {"place": place, "confidence": confidence, "decided_by": "ensemble", "decision": CONDITIONAL}
    return labeled(**(whole | {"image": image, "text": text, "top": top} | changes))


def split(post: LabeledPost) -> tuple[float, float]:
    found = parts(post)
    assert found.known
    return found.image, found.text


def test_the_parts_are_weighted_and_add_up_to_the_confidence() -> None:
    post = both(ranking(("alley", 0.5), ("yard", 0.2)), ranking(("yard", 0.7)), [["yard", 0.45], ["alley", 0.3]])
    assert split(post) == pytest.approx((0.1, 0.35))
    uneven = CONDITIONAL | {"weights": [0.8, 0.2]}
    post = both(ranking(("alley", 0.5)), ranking(("yard", 0.7)), [["alley", 0.4]], decision=uneven)
    assert split(post) == pytest.approx((0.4, 0.0))


def test_a_winner_that_only_the_captions_five_name_is_split_by_them() -> None:
    post = both(ranking(("alley", 0.5)), ranking(("yard", 0.9)), [["yard", 0.46]])
    assert split(post) == pytest.approx((0.01, 0.45))


def test_a_winner_in_neither_five_cannot_be_split() -> None:
    post = both(ranking(("alley", 0.2)), ranking(("yard", 0.2)), [["coast", 0.15]], place=None)
    assert parts(post) == Parts(0.15, 0.0, False)


def test_a_picture_that_decided_alone_has_the_whole_confidence() -> None:
    post = labeled(decided_by="image", confidence=0.83, text=None)
    assert parts(post) == Parts(0.83, 0.0, True)


def alone(confidence: float, threshold: float = 0.3, ensemble: str = "conditional") -> list[str]:
    place = "temple/east_asia" if confidence >= threshold else None
    image = ranking(("temple/east_asia", confidence))
    return why(
        labeled(
            place=place,
            confidence=confidence,
            decided_by="image",
            image=image,
            text=None,
            top=image["top"],
            decision=CONDITIONAL | {"threshold": threshold, "ensemble": ensemble},
        )
    )


def test_words_say_what_decided_and_how_it_ended() -> None:
    decided, ended = alone(0.83)
    assert "sure of temple / east asia with 0.83, above the gate of 0.6" in decided
    assert ended == "The confidence of 0.83 reaches the threshold of 0.3: temple / east asia."
    assert alone(0.4)[0].startswith("There was no caption")
    assert "above" not in alone(0.6)[0], "four decimals do not tell"
    assert alone(0.9, ensemble="only-image")[0].startswith("The picture alone decides here")
    assert alone(0.2)[1].endswith("below the threshold of 0.3: not classified; temple / east asia came nearest.")
    post = both(ranking(("alley", 0.5)), ranking(("yard", 0.7)), [["yard", 0.45]])
    assert "its best place is alley with 0.50, not above the gate of 0.6" in why(post)[0]
    assert "weighted 0.8 to 0.8" in why(post)[0]
    together = CONDITIONAL | {"ensemble": "ensemble"}
    always = both(ranking(("alley", 0.5)), ranking(("yard", 0.7)), [["yard", 0.45]], decision=together)
    assert "always decide together" in why(always)[0]


def test_no_confidence_is_rounded_onto_certainty_or_nothing() -> None:
    assert [number(value) for value in (0.0, 0.0001, 0.005, 0.83, 0.9949, 0.9999, 1.0)] == [
        "0.00",
        "<0.01",
        "0.01",
        "0.83",
        "0.99",
        ">0.99",
        "1.00",
    ]


def test_a_broader_answer_is_said_with_its_confidence() -> None:
    below = {"place": None, "confidence": 0.25, "top": [["art_gallery", 0.25]], "decision": CONDITIONAL}
    names = {"level": "synonyms", "name": "art_gallery|museum/indoor", "confidence": 0.7123}
    assert why(labeled(**below, broader=names))[-1].endswith(
        "All places of art gallery or museum / indoor together have 0.71, so that is the broader answer."
    )
    kind = {"level": "level2", "name": "commercial buildings, shops, markets, cities, and towns", "confidence": 0.8}
    assert f"All places of {kind['name']} together" in why(labeled(**below, broader=kind))[-1]
