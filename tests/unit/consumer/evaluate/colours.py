"""A dataset of coloured pictures and `score` with the light encoder, which tells them apart.

`python -m tests.unit.consumer.evaluate.colours FLAGS…` is `evaluate score FLAGS…`
in parts of 4 posts, of which it ends two.
"""

import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from consumer.classify.classifier import Classifier
from consumer.classify.decision import Decision
from consumer.classify.encoders.encoder import Images
from consumer.evaluate.scores.score import ScoreSettings, main
from tests.light import COLOURS, PLACES, LightEncoder

PART_POSTS = 4


class StuckEncoder(LightEncoder):
    """Ends five batches, two parts and a half, and never the next one: it can be killed between two parts."""

    def __init__(self) -> None:
        super().__init__()
        self._batches = 0

    def encode_images(self, prepared: Sequence[torch.Tensor]) -> Images:
        self._batches += 1
        if self._batches > 5:
            threading.Event().wait()
        return super().encode_images(prepared)


def colour_classifier(settings: ScoreSettings, encoder: LightEncoder | None = None) -> Classifier:
    return Classifier(encoder or LightEncoder(), PLACES, Decision(threshold=0.4), settings.limits())


def score(*flags: object, encoder: LightEncoder | None = None, part_posts: int = PART_POSTS) -> int:
    """Run the command with the light encoder."""
    return main([str(flag) for flag in flags], lambda settings: colour_classifier(settings, encoder), part_posts)


def write_dataset(folder: Path, posts: int = 30, broken: Sequence[int] = (), first_id: int = 0) -> Path:
    """Posts ``p00`` … in two cities, red, green, blue in turn; two of three have a caption, of another colour."""
    for number in range(posts):
        city = ("london", "paris")[number % 2]
        picture = folder / "img" / city / f"p{first_id + number:02d}.png"
        caption = folder / "captions" / city / f"p{first_id + number:02d}.txt"
        for path in (picture, caption):
            path.parent.mkdir(parents=True, exist_ok=True)
        levels = np.zeros((8, 8, 3), np.uint8) + np.uint8(number)
        levels[:, :, number % 3] = 200
        Image.fromarray(levels).save(picture)
        if number in broken:
            picture.write_bytes(picture.read_bytes()[:50])
        if number % 3:
            caption.write_text(f"so {COLOURS[(number + 1) % 3]} {number}", "utf-8")
    return folder


if __name__ == "__main__":
    sys.exit(score(*sys.argv[1:], encoder=StuckEncoder()))
