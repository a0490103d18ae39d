"""What the benchmark labels: pictures of InstaCities' size, captions of Instagram's length; the same for every run."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from consumer.classify.places import Places
from producer.base.errors import CommandError
from producer.post import Post

SIDE = 300
"""Pixels: InstaCities1M's pictures are 300 x 300."""
QUALITY = 90
WORDS = 24.0
"""Words of a caption on average: about 30 tokens of CLIP's tokenizer, start and end among them."""
CITIES = ("london", "newyork", "sydney")
HASHTAGS = ("#travel", "#instagood", "#nofilter", "❤️", "@friends")


def make(number: int, photos: Path | None = None, seed: int = 0) -> list[Post]:
    """Posts that are the same for the same arguments; every picture is another one.

    Args:
        number: of posts.
        photos: folder of JPEGs, taken in turn; None: pictures are made up.
        seed: of pictures and captions.

    Raises:
        CommandError: the folder has no JPEG.
    """
    random = np.random.default_rng(seed)
    words = sorted({word for place in Places.load().places for word in place.description.split() if word.isalpha()})
    files = _photos(photos) if photos else []
    return [
        Post(
            str(index),
            CITIES[index % len(CITIES)],
            files[index % len(files)] if files else picture(random),
            caption(random, words),
        )
        for index in range(number)
    ]


def picture(random: np.random.Generator) -> bytes:
    """A JPEG with shapes of every size: as costly to decode as a photograph."""
    levels = np.zeros((SIDE, SIDE, 3), np.float32)
    for cells, weight in ((4, 0.5), (24, 0.3), (SIDE, 0.12)):
        noise = Image.fromarray(random.integers(0, 256, (cells, cells, 3), np.uint8))
        levels += weight * np.asarray(noise.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32)
    buffer = io.BytesIO()
    Image.fromarray(levels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def caption(random: np.random.Generator, words: list[str]) -> str:
    """Short and long ones mixed, as on Instagram; never none."""
    length = 1 + int(random.gamma(2.0, (WORDS - 1) / 2.0))
    return " ".join([*random.choice(words, length), str(random.choice(HASHTAGS))])


def _photos(folder: Path) -> list[bytes]:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    if not files:
        raise CommandError(f"PHOTOS {folder}: no JPEG in it")
    return [path.read_bytes() for path in files]
