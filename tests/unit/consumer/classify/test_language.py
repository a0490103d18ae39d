from unittest.mock import Mock

import pytest

from consumer.classify.captions import ENGLISH
from consumer.classify.language import language
from consumer.classify.sentiment import sentiment
from tests.languages import captions


@pytest.mark.parametrize(
    ("caption", "told"),
    [("Die schönste Stadt der Welt", "de"), ("Almoço no centro", "pt"), ("Sin filtro #nofilter", None)],
)
def test_a_caption_whose_words_vader_takes_for_english_ones_is_not_told_english(caption: str, told: str | None) -> None:
    assert sentiment(caption) is not None
    assert language(caption) == told


def test_no_caption_of_another_language_is_told_english_and_few_english_ones_are_missed() -> None:
    told = [(caption, there, language(caption)) for there, caption in captions()]
    english = [each for each in told if each[1] == ENGLISH]
    sure = [each for each in told if each[2]]

    assert [each for each in told if each[2] == ENGLISH and each[1] not in (ENGLISH, "")] == []
    assert sum(found == ENGLISH for *_, found in english) / len(english) > 0.85
    assert sum(found == there for _, there, found in sure) / len(sure) > 0.95


@pytest.mark.parametrize("caption", [None, "", " \n", "❤️❤️", "2017", "#sunset #love #beach", "@anna @tom", "xx", "\0"])
def test_without_words_no_language_is_told(caption: str | None) -> None:
    assert language(caption) is None


@pytest.mark.parametrize(
    "caption",
    [
        "Endlich wieder zu Hause #love #happy #instagood #photooftheday",
        "Endlich wieder zu Hause @best.friends.forever",
        "Endlich wieder zu Hause https://example.com/what-a-lovely-day-this-is",
        "Endlich wieder zu Hause &amp; gl&uuml;cklich",
        "\U0001d404\U0001d427\U0001d41d\U0001d425\U0001d422\U0001d41c\U0001d421 wieder zu Hause",  # mathematical bold
    ],
)
def test_hashtags_mentions_links_and_writing_hide_no_language(caption: str) -> None:
    assert language(caption) == "de"


@pytest.mark.parametrize(
    "caption", ["\ud800 hello", "\0" * 5, "'\u2019", "@", "a" * 100_000, "\u0301" * 3_000, "\U0001f600" * 100_000]
)
def test_whatever_is_sent_has_an_answer(caption: str) -> None:
    assert language(caption) in (None, ENGLISH)


def test_what_comes_after_the_longest_caption_is_not_looked_at() -> None:
    assert language("what a lovely day" + " " * 2_200 + "und jetzt schreiben wir auf Deutsch weiter") == ENGLISH


@pytest.mark.parametrize(("share", "told"), [(0.5, None), (0.51, ENGLISH)])
def test_a_language_is_told_when_it_is_likelier_than_all_others_together(
    share: float, told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsure = Mock(classify=lambda _: (ENGLISH, share))
    monkeypatch.setattr("consumer.classify.language.identifier", lambda: unsure)
    assert language("a caption") == told
