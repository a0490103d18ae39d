"""Exports of vectors for tests, as `export --vectors-topic` writes them."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from consumer.classify.label import Vectors
from consumer.export.table import CONTENTS, Row
from consumer.export.write import Unfinished
from consumer.vector_table import ABOUT, post_row

RECORD = {"topic": "v", "partition": 0, "record_time": None, "encoded_at": None}
SOURCE = {"source_topic": "posts", "source_partition": 0, "source_offset": 0}


def row(number: int, encoder: str, city: str = "rome", post_id: str | None = None) -> Row:
    image = np.eye(3, dtype=np.float32)[number % 3]
    vectors = Vectors(image, image[::-1].copy() if number % 2 else None, image)
    post = post_row(post_id or f"p{number}", city, None, 0.5, "en", True, encoder, vectors)
    return RECORD | SOURCE | {"offset": number} | post


def write_export(folder: Path, files: Sequence[Sequence[Row]], contents: str = "vectors") -> Path:
    """As `export` writes it."""
    folder.mkdir()
    (folder / ABOUT).write_text(json.dumps({"topic": "v", "contents": contents}))
    for number, rows in enumerate(files):
        file = Unfinished(folder, "parquet", CONTENTS["vectors"])
        file.add(rows)
        file.finish(f"v-0-{number:012d}-{number:012d}.parquet")
    return folder
