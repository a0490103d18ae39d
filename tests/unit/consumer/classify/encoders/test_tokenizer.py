import random
from typing import Any

import open_clip
import pytest

from consumer.classify.encoders.tokenizer import REMEMBERED_WORDS, with_fast_words
from producer.photographs import PHOTOGRAPHS

CAPTIONS = (
    "",
    " \n\t ",
    "It's what they're saying: we've, I'm, she'll, he'd, DON'T, ''s 't",
    "AT&amp;T &amp;lt;3 &#39;quoted&#39; &nbsp; &#x1F600; &bogus;",
    "â€™ Ã© mended by ftfy",
    "\u00a0odd\u2003spaces\u200band\ufeff\u3000marks\r\n",
    "#travel #nofilter @friends 1,000.50 100% 24/7 x² ½ ٣ 三",
    "😂😂😂 👩‍🚀 🇩🇪 👍🏽 ❤️",
    "مَرْحَبًا بكم في نيويورك",
    "今日はとても良い天気でした。湖の上のお寺",
    "ฉันรักกรุงเทพมหานคร",
    "मुझे यह पुल बहुत पसंद है",
    "e\u0301a\u0308 n\u0303 Z\u0336a\u0336l\u0336g\u0336o İıſK",
    "<start_of_text>the bridge<end_of_text> !<end_of_text> <END_OF_TEXT>",
    "a\0b\0c",
    "a" * 20_000,
    "love 😂 " * 2_900,
    "橋" * 2_200,
    *(caption for photograph in PHOTOGRAPHS for caption in photograph.captions),
)


@pytest.fixture(scope="module")
def own() -> Any:
    return open_clip.get_tokenizer("ViT-B-32")


@pytest.fixture(scope="module")
def fast(own: Any) -> Any:
    return with_fast_words(own)


def test_the_ids_are_open_clips(own: Any, fast: Any) -> None:
    for caption in CAPTIONS:
        assert fast.encode(caption) == own.encode(caption), caption[:100]
    assert fast(list(CAPTIONS)).equal(own(list(CAPTIONS)))


@pytest.mark.slow
def test_the_ids_of_any_text_are_open_clips(own: Any, fast: Any) -> None:
    rng = random.Random(205)
    alphabets = (
        [chr(code) for code in range(1, 0x3000)],
        [chr(code) for code in range(0x3000, 0x20000) if not 0xD800 <= code < 0xE000],
        list("abcdefghijklmnopqrstuvwxyz  '&;#<>_.,0123456789"),
        " ".join(CAPTIONS[:15]).split(" "),
        list("😂🏯🌸🔥❤\ufe0f\u200d🏽 "),
    )
    for _ in range(3_000):
        text = "".join(
            character
            for _ in range(rng.randrange(1, 5))
            for character in rng.choices(rng.choice(alphabets), k=rng.randrange(1, 30))
        )
        assert fast.encode(text) == own.encode(text), text


def test_open_clips_tokenizer_is_left_as_it_is(own: Any, fast: Any) -> None:
    remembered = len(own.cache)
    fast(["anewwordthatnobodyeversaw"])
    assert len(own.cache) == remembered
    assert "bpe" not in vars(own)


def test_it_does_not_remember_for_ever(fast: Any) -> None:
    assert fast.bpe.cache_info().maxsize == REMEMBERED_WORDS
