"""A city's name: the one in which posts carry it, and which names are likely those of one city."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from producer.base.errors import Wrong

MAX_CITY = 100
"""Longest name of a city, in characters."""

INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200e\u200f\u2060\ufeff"))
"""Characters that nobody sees in a name: blanks of no width, marks of direction, a byte order mark."""

BETWEEN = re.compile("[\\s\\-_.'’\u0300-\u036f]+")
"""In what two spellings of one city differ, besides case: what stands between words, and accents."""

MOST_NAMED = 5
"""Cities of several spellings that a line names."""


@lru_cache(1000)  # a stream has few cities, and each is normalised character by character
def city_name(text: str) -> str:
    """The city as its name is written everywhere: in NFC, trimmed, with one blank between words. Case stays.

    Raises:
        Wrong: it is blank, too long, or has control characters or halves of a surrogate pair.
    """
    too_long = f"city has more than {MAX_CITY} characters"
    if len(text) > 10 * MAX_CITY:  # to normalise a megabyte of accents takes minutes
        raise Wrong(too_long, str(len(text)))
    city = unicodedata.normalize("NFC", text.translate(INVISIBLE)).strip()
    if not city:
        raise Wrong("city is blank")
    categories = {unicodedata.category(character) for character in city}
    if "Cc" in categories:
        raise Wrong("city has control characters")
    if "Cs" in categories:
        raise Wrong("city is not valid Unicode text")
    city = " ".join(city.split())
    if len(city) > MAX_CITY:
        raise Wrong(too_long, str(len(city)))
    return city


def other_spellings(city: str, cities: Iterable[str]) -> list[str]:
    """Those of the cities that are likely meant by the name: they differ in case, accents or what is between words."""
    spelled = _spelled(city)
    return [other for other in cities if _spelled(other) == spelled]


def spelled_twice(cities: Iterable[str]) -> str | None:
    """One line that names cities of which there are several spellings, if there are; they count as several."""
    names: dict[str, list[str]] = {}
    for city in sorted(cities):
        names.setdefault(_spelled(city), []).append(city)
    several = [" and ".join(map(_shown, each)) for each in names.values() if len(each) > 1]
    if not several:
        return None
    named = ", ".join(several[:MOST_NAMED]) + (f", and {len(several) - MOST_NAMED} more" * (len(several) > MOST_NAMED))
    return f"different spellings count as different cities: {named}"


def _shown(city: str) -> str:
    return repr(city) if unicodedata.is_normalized("NFC", city) else ascii(city)  # else both would look the same


def _spelled(city: str) -> str:
    return BETWEEN.sub("", unicodedata.normalize("NFKD", city).casefold()) or city
