"""The language of a caption, where it is sure: by py3langid (Lui & Baldwin 2012), whose model lies in its package."""

import html
import re
import unicodedata
from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from consumer.classify.captions import readable

SURE = 0.5
"""More likely than all other languages together, so no two are ever level; `python -m tests.languages` shows what other
bounds would give."""
LANGUAGES = (
    *("ar", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "he", "hi", "hr", "hu", "id"),
    *("it", "ja", "ka", "ko", "lt", "lv", "nl", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sr", "sv", "sw", "ta", "te"),
    *("th", "tl", "tr", "uk", "ur", "vi", "zh"),
)
"""Those that many write online. The model knows 139: the others would take short captions of their large neighbours
(Afrikaans of Dutch, Scots and Jamaican of English)."""
_NO_WORDS = re.compile(r"(?:https?://|www\.)\S+|[@#]\w[\w.]*")


def language(caption: str | None) -> str | None:
    """The language of a caption's first 2,200 characters. Thread-safe; it raises for no text.

    Only its words are looked at. Links, mentions and hashtags are left out: people of every language write #love.

    Returns:
        ISO 639-1, one of `LANGUAGES`; None when no language is sure, and without words.
    """
    text = readable(caption)
    words = None if text is None else words_of(text)
    if not words:
        return None
    name, share = identifier().classify(words)
    return str(name) if share > SURE else None


def words_of(text: str) -> str:
    """The words of a text, one blank between two."""
    kept = _NO_WORDS.sub(" ", unicodedata.normalize("NFKC", html.unescape(text)))
    return " ".join("".join(each if _is_of_word(each) else " " for each in kept).split())


@cache
def identifier() -> LanguageIdentifier:
    """The model: a second and 85 MB, at the first call."""
    loaded = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    loaded.set_languages(LANGUAGES)
    return loaded


def _is_of_word(character: str) -> bool:
    return character in "'\u2019" or unicodedata.category(character)[0] in "LM"
