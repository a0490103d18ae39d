"""Writes a score folder, part after part, such that a process that was killed can go on without a doubled or lost post.

A part is written beside and renamed: whole or absent. What was done is what the parts and ``failed.csv`` name.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from consumer.classify.head import Head
from consumer.evaluate.scores.ahead import Failure
from consumer.evaluate.scores.folder import (
    FAILED,
    FAILED_COLUMNS,
    INFO,
    PLACES,
    VERSION,
    ScoreInfo,
    places_table,
    read_failed,
    read_info,
)
from consumer.evaluate.scores.parts import check_part, part_name, part_paths, read_post_ids, stamped
from consumer.vector_table import Row, schema, shape, to_batch
from producer.base.disk import locked, to_disk, whole
from producer.base.errors import CommandError

PART_POSTS = 4096
"""Rows of a part: what a killed process may have to score again."""


@dataclass(slots=True)
class ScoreWriter:
    """A score folder that nobody else writes.

    Attributes:
        done: ids that have their scores, or failed, when it was opened.
        scored: posts in its parts.
        failed: posts in ``failed.csv``.
    """

    folder: Path
    described: dict[str, Any]
    stamp: Mapping[str, str]
    part_posts: int
    done: frozenset[str]
    scored: int
    failed: int
    _parts: int
    _rows: list[Row] = field(default_factory=list)
    _failures: list[Failure] = field(default_factory=list)

    def add(self, outcomes: Sequence[Row | Failure]) -> None:
        """Take some posts; they are on the disk when their part is full, or after `finish`."""
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                self._failures.append(outcome)
            else:
                self._rows.append(outcome)
                if len(self._rows) == self.part_posts:
                    self._flush()

    def finish(self) -> None:
        """Write what is left and say that the folder is complete."""
        self._flush()
        _write_info(self.folder, self.described | {"complete": True})

    def _flush(self) -> None:
        if self._failures:  # before the part: what fails must not be tried again once its neighbours are there
            with (self.folder / FAILED).open("a", encoding="utf-8", newline="") as file:
                file.write(_failed_rows(self._failures))
                to_disk(file)
        if self._rows:
            with whole(self.folder / part_name(self._parts)) as file:
                columns = stamped(schema(*shape(self._rows[0])), self.stamp)
                table = pa.Table.from_batches([to_batch(self._rows, columns)])
                parquet.write_table(table, file, compression="zstd", use_dictionary=["city", "encoder"])
            self._parts += 1
        self.scored += len(self._rows)
        self.failed += len(self._failures)
        self._rows, self._failures = [], []


@contextmanager
def writing(
    folder: Path, info: ScoreInfo, head: Head, choice: dict[str, Any], part_posts: int = PART_POSTS
) -> Iterator[ScoreWriter]:
    """Begin a score folder, or go on with one.

    Args:
        folder: new, empty, or begun with the same model, places, dataset and choice.
        info: what its scores have in common.
        head: has the places' vectors.
        choice: how posts were chosen and which pictures are refused: more that must not change when going on.
        part_posts: rows of a part.

    Raises:
        CommandError: something else is there, another process writes there, or the folder cannot be written.
    """
    described = _described(info, choice)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder, "evaluate score"):
            yield _open(folder, described, info.stamp, head, part_posts)
    except OSError as error:
        raise CommandError(f"{folder} cannot be written: {error.strerror or error}") from None


def _open(
    folder: Path, described: dict[str, Any], stamp: Mapping[str, str], head: Head, part_posts: int
) -> ScoreWriter:
    found = read_info(folder)
    if found is None:
        _begin(folder, described, head)
    else:
        _check_same(folder, found, described)
        _cut_torn_line(folder / FAILED)
    paths = part_paths(folder)
    for path in paths:
        check_part(path, stamp)
    scored = [post_id for path in paths for post_id in read_post_ids(path)]
    failed = [row["post_id"] for row in read_failed(folder)]
    return ScoreWriter(
        folder, described, stamp, part_posts, frozenset(scored).union(failed), len(scored), len(failed), len(paths)
    )


def _begin(folder: Path, described: dict[str, Any], head: Head) -> None:
    """The other files first: the folder is one of scores only when ``scores.json`` is there."""
    ours = (FAILED, PLACES, f".{PLACES}.tmp", f".{INFO}.tmp")
    if strange := [path.name for path in folder.iterdir() if path.name not in ours]:
        raise CommandError(f"{folder} holds {strange[0]} and no scores: choose a new or empty folder")
    (folder / FAILED).write_text(",".join(FAILED_COLUMNS) + "\n", "utf-8")
    with whole(folder / PLACES) as file:
        parquet.write_table(places_table(head), file, compression="zstd", use_dictionary=False)
    _write_info(folder, described | {"complete": False})


def _described(info: ScoreInfo, choice: dict[str, Any]) -> dict[str, Any]:
    fields = asdict(info)
    dataset = {"path": str(fields.pop("dataset")), "posts": fields.pop("posts"), "ids_sha256": fields.pop("ids_sha256")}
    described = {"version": VERSION, **fields, "choice": choice, "dataset": dataset}
    return dict(json.loads(json.dumps(described)))  # tuples are lists on the disk


def _check_same(folder: Path, found: dict[str, Any], described: dict[str, Any]) -> None:
    names = {"image_logit_scale": "scale", "text_logit_scale": "scale", "choice": "choice of posts"}
    for key in ("encoder", "places", "choice", "dataset", *described):
        if found.get(key) != described[key]:
            raise CommandError(
                f"{folder} was begun with another {names.get(key, key)} ({_short(found.get(key))}; now "
                f"{_short(described[key])}): give the same flags to go on, or choose another folder"
            )


def _short(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)[:200]


def _write_info(folder: Path, described: dict[str, Any]) -> None:
    with whole(folder / INFO, "w", encoding="utf-8") as file:
        file.write(json.dumps(described, indent=1, ensure_ascii=False) + "\n")


def _cut_torn_line(path: Path) -> None:
    """A killed process may have left half a line; its post is tried again."""
    whole = path.read_bytes() if path.exists() else b""
    if not whole.endswith(b"\n"):
        kept = whole[: whole.rfind(b"\n") + 1] or (",".join(FAILED_COLUMNS) + "\n").encode()
        path.write_bytes(kept)


def _failed_rows(failures: Sequence[Failure]) -> str:
    buffer = io.StringIO(newline="")
    rows = ([each.post_id, each.reason, " ".join(each.message.split())] for each in failures)
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()
