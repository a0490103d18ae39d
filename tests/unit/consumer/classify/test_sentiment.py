from unittest.mock import Mock

import pytest
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from consumer.classify.captions import MAX_CHARACTERS, readable
from consumer.classify.sentiment import MAX_EXPANDED, plain, sentiment


def test_good_and_bad_moods_have_opposite_signs() -> None:
    assert (sentiment("I love this beautiful city") or 0) > 0.5
    assert (sentiment("terrible service, I hate it") or 0) < -0.5
    assert (sentiment("😍") or 0) > 0


@pytest.mark.parametrize("caption", [None, "", " \n\t", "the bridge at noon", "橋", "https://example.org/a?b=c", "\0"])
def test_no_word_of_the_lexicon_is_no_sentiment(caption: str | None) -> None:
    assert sentiment(caption) is None


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("I don\u2019t love this place", "I don't love this place"),
        ("I don\u02bct love this place", "I don't love this place"),
        ("I don`t love this place", "I don't love this place"),
        ("I don&#39;t love this place", "I don't love this place"),
        ("I don&rsquo;t love this place", "I don't love this place"),
        ("great&amp;beautiful", "great&beautiful"),
        ("lovely\u2014but crowded", "lovely - but crowded"),
        ("lovely\u2013terrible", "lovely - terrible"),
        ("\u201camazing\u201d", '"amazing"'),
        ("\u00abamazing\u00bb", '"amazing"'),
        ("a well\u2011loved place", "a well-loved place"),
        ("I loooooove it", "I love it"),
        ("sooooo goooood", "so good"),
        ("I LOOOOVE it", "I LOVE it"),
        ("coooolllll", "cool"),
        ("nooooot good", "not good"),
        ("I dooon\u2019t love it", "I don't love it"),
        ("\uff29 \uff4c\uff4f\uff56\uff45 it\uff01", "I love it!"),  # full-width
        ("I \U0001d5f9\U0001d5fc\U0001d603\U0001d5f2 it", "I love it"),  # mathematical bold
        ("lo\u00adve and ha\u200bte", "love and hate"),
        ("love\u00a0it", "love it"),
        ("zzzzz hmmmm", "zzzzz hmmmm"),  # no word that VADER knows
        ("www.example.com good", "www.example.com good"),
        ("so good!!!", "so good!!!"),
    ],
)
def test_words_are_found_however_a_phone_writes_them(written: str, means: str) -> None:
    assert plain(written) == means
    assert sentiment(written) == sentiment(means)


def test_a_phone_s_apostrophe_negates() -> None:
    assert (sentiment("I don\u2019t love this place") or 0) < -0.5
    assert (sentiment("I love this place") or 0) > 0.5


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
        "aaabbbcccdddeee" * 100_000,
        "\ufdfa" * 100_000,  # NFKC makes 18 characters of it
        "&lt;" * 100_000,
    ],
)
def test_vader_which_is_quadratic_sees_the_beginning_of_a_caption_of_a_million_characters(
    caption: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    analyzer = Mock(wraps=SentimentIntensityAnalyzer())
    analyzer.emojis, analyzer.lexicon = SentimentIntensityAnalyzer().emojis, SentimentIntensityAnalyzer().lexicon
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
