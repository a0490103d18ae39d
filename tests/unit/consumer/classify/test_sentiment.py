from unittest.mock import Mock

import pytest
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from consumer.classify.captions import MAX_CHARACTERS, readable
from consumer.classify.sentiment import MAX_EXPANDED, sentiment


def test_good_and_bad_moods_have_opposite_signs() -> None:
    assert (sentiment("I love this beautiful city") or 0) > 0.5
    assert (sentiment("terrible service, I hate it") or 0) < -0.5
    assert (sentiment("😍") or 0) > 0


@pytest.mark.parametrize("caption", [None, "", " \n\t", "the bridge at noon", "橋", "https://example.org/a?b=c", "\0"])
def test_no_word_of_the_lexicon_is_no_sentiment(caption: str | None) -> None:
    assert sentiment(caption) is None


def test_balanced_words_are_a_sentiment_of_nought() -> None:
    balanced = sentiment("good bad")  # words of the lexicon, though they add up to little
    assert balanced is not None
    assert abs(balanced) < 0.3


def test_only_the_first_characters_count() -> None:
    assert sentiment("x" * MAX_CHARACTERS + " I love it") is None
    assert sentiment("I love it " + "x" * MAX_CHARACTERS) is not None


@pytest.mark.parametrize(
    "caption",
    [
        "I love it. " * 100_000,
        "😂" * 1_000_000,
        "good x " * 150_000,
        "a" * 1_000_000,
        "!" * 1_000_000,
        "\0" * 1_000_000,
    ],
)
def test_vader_which_is_quadratic_sees_the_beginning_of_a_caption_of_a_million_characters(
    caption: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    analyzer = Mock(wraps=SentimentIntensityAnalyzer())
    analyzer.emojis = SentimentIntensityAnalyzer().emojis
    monkeypatch.setattr("consumer.classify.sentiment._analyzer", lambda: analyzer)
    sentiment(caption)
    for call in analyzer.polarity_scores.call_args_list:
        written_out = "".join(analyzer.emojis.get(character, character) for character in call.args[0])
        assert len(written_out) <= MAX_EXPANDED


def test_an_emoji_caption_of_usual_length_is_seen_whole() -> None:
    assert sentiment("🏯" * 100 + " terrible") == sentiment("terrible")


def test_readable_captions() -> None:
    assert readable("  ") is None
    assert readable(None) is None
    assert readable("a\ud800b") == "a?b"
    assert readable("ab" * MAX_CHARACTERS) == "ab" * (MAX_CHARACTERS // 2)
    assert readable("مرحبا\0") == "مرحبا\0"
