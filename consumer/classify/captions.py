"""What of a caption anyone here looks at."""

MAX_CHARACTERS = 2_200
"""Instagram's limit: what comes after it cannot be a caption, and tokenizer and sentiment grow faster than the text."""
ENGLISH = "en"
"""ISO 639-1; of the lexicon that tells moods."""


def readable(caption: str | None) -> str | None:
    """The first 2,200 characters of a caption; None when there is nothing but space in them.

    Lone surrogates (from JSON) become ``?``: tokenizers refuse them.
    """
    if caption is None:
        return None
    text = caption[:MAX_CHARACTERS].encode("utf-8", "replace").decode("utf-8")
    return text if text.strip() else None
