import pytest

from producer.city import MOST_NAMED, city_name, other_spellings, spelled_twice


def test_a_megabyte_of_accents_is_refused_before_they_are_put_in_order() -> None:
    with pytest.raises(ValueError, match="^city has more than 100 characters: 1000000$"):
        city_name("a" + "\u0316\u0301" * 499_999 + "b")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("London", "london", True),
        ("São Paulo", "sao-paulo", True),
        ("New York", "newyork", True),
        ("İstanbul", "istanbul", True),
        ("St. John’s", "st johns", True),
        ("かわ", "がわ", False),
        ("पुणे", "पण", False),
        ("Lima", "Lome", False),
        ("-", "_", False),
    ],
)
def test_two_spellings_of_one_city_are_recognised(one: str, other: str, same: bool) -> None:
    assert other_spellings(one, [other]) == ([other] if same else [])
    assert (spelled_twice([other, one, "Rome"]) is not None) is same


def test_cities_of_several_spellings_are_named_in_one_line_and_many_are_counted() -> None:
    line = "different spellings count as different cities: 'London' and 'london', 'new york' and 'newyork'"
    assert spelled_twice({"london", "newyork", "London", "new york", "rome"}) == line
    assert spelled_twice([]) is None
    assert (spelled_twice(["são", "sa\u0303o"]) or "").endswith(r": 'sa\u0303o' and 'são'")
    many = [spelled for number in range(MOST_NAMED + 2) for spelled in (f"a{number}", f"A{number}")]
    assert (spelled_twice(many) or "").endswith(", and 2 more")
