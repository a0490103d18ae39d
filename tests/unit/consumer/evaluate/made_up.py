"""Score folders by hand: parts of posts of Rome, and what `scores.json` says of them.

A vector here is made of the cosines wanted: the places' vectors are the unit vectors.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from consumer.classify.decision import Decision
from consumer.classify.head import Head
from consumer.classify.label import Vectors
from consumer.evaluate.scores.folder import PLACES, VERSION, places_table
from consumer.evaluate.scores.parts import ScorePart, part_name, stamped
from consumer.vector_table import post_row, schema, to_batch

INFO: dict[str, Any] = {
    "version": VERSION,
    "encoder": "made up",
    "model": {"encoder": "conse", "model": None, "pretrained": None, "templates": None},
    "places": "places@00000000",
    "groups": [],
    "image_logit_scale": 10,
    "text_logit_scale": 5,
    "threshold": 0.3,
    "complete": True,
}


def head(categories: Sequence[str]) -> Head:
    """Of these places, each of which has a dimension of its own."""
    return Head(categories, np.eye(len(categories), dtype=np.float32), 10, 5, Decision(threshold=0.3))


def made_up(image: Any, text: Any = None, ids: Sequence[str] | None = None, captions: Any = None) -> ScorePart:
    """A part of cosines ``[n, P]``, as precise as files are.

    Args:
        image: of the pictures.
        text: of the captions; a row of NaN, or no text, is a caption that was not encoded.
        ids: of the posts; their numbers, unless given.
        captions: which posts have a caption; None: those of which it was encoded.
    """
    image = np.asarray(image, np.float16).astype(np.float64)
    text = np.full_like(image, np.nan) if text is None else np.asarray(text, np.float16).astype(np.float64)
    has_text: NDArray[np.bool_] = np.isfinite(text[:, 0])
    posts = len(image)
    ids = ids or [str(number) for number in range(posts)]
    has_caption = has_text if captions is None else np.asarray(captions, np.bool_)
    return ScorePart(list(ids), ["rome"] * posts, [None] * posts, image, text, has_caption, has_text)


def table_of(part: ScorePart, stamp: dict[str, str]) -> Any:
    """The part as it lies on the disk: a pyarrow table."""
    numbers = range(len(part))
    vectors = [Vectors(part.image[each], part.text[each] if part.has_text[each] else None, None) for each in numbers]
    rows = [
        post_row(post_id, city, created_at, None, None, caption, "made up", of_post)
        for post_id, city, created_at, caption, of_post in zip(
            part.post_ids, part.cities, part.created_at, part.has_caption.tolist(), vectors, strict=True
        )
    ]
    places = part.image.shape[1]
    return pa.Table.from_batches([to_batch(rows, stamped(schema(places, places), stamp))])


def write_folder(
    folder: Path, parts: Iterable[ScorePart], categories: Sequence[str], posts: int, /, **changes: Any
) -> Path:
    """A score folder of these parts; `changes` are other fields of ``scores.json``, or of its dataset."""
    folder.mkdir(parents=True, exist_ok=True)
    dataset = {name: changes.pop(name, made) for name, made in (("path", "/data"), ("ids_sha256", "ab"))}
    described = INFO | {"categories": categories, "dataset": dataset | {"posts": posts}} | changes
    stamp = {"encoder": described["encoder"], "ids_sha256": dataset["ids_sha256"]}
    for number, part in enumerate(parts):
        parquet.write_table(table_of(part, stamp), folder / part_name(number))
    if categories:
        parquet.write_table(places_table(head(categories)), folder / PLACES)
    (folder / "scores.json").write_text(json.dumps(described))
    return folder
