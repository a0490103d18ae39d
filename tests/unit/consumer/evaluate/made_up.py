"""Score folders by hand: parts of posts of Rome, and what `scores.json` says of them."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyarrow import parquet

from consumer.evaluate.scores.parts import ScorePart, part_name, to_table

INFO: dict[str, Any] = {
    "version": 1,
    "encoder": "made up",
    "places": "places@00000000",
    "synonyms": [],
    "image_logit_scale": 10,
    "text_logit_scale": 5,
    "threshold": 0.3,
    "complete": True,
}


def made_up(image: Any, text: Any = None, ids: Sequence[str] | None = None) -> ScorePart:
    """A part of cosines ``[n, P]``; a row of NaN, or no text, is no caption."""
    image = np.asarray(image, np.float32)
    text = np.full_like(image, np.nan) if text is None else np.asarray(text, np.float32)
    has_text: NDArray[np.bool_] = np.isfinite(text[:, 0])
    posts = len(image)
    ids = ids or [str(number) for number in range(posts)]
    return ScorePart(list(ids), ["rome"] * posts, [None] * posts, has_text.astype(np.int32), image, text, has_text)


def write_folder(
    folder: Path, parts: Iterable[ScorePart], categories: Sequence[str], posts: int, /, **changes: Any
) -> Path:
    """A score folder of these parts; `changes` are other fields of ``scores.json``, or of its dataset."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp: dict[str, str] = {name: changes[name] for name in ("encoder", "places", "ids_sha256") if name in changes}
    for number, part in enumerate(parts):
        parquet.write_table(to_table(part, stamp), folder / part_name(number))
    dataset = {name: changes.pop(name, made) for name, made in (("path", "/data"), ("ids_sha256", "ab"))}
    described = INFO | {"categories": categories, "dataset": dataset | {"posts": posts}} | changes
    (folder / "scores.json").write_text(json.dumps(described))
    return folder
