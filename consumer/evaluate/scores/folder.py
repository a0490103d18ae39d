"""The score folder as it is read: vectors of pictures, captions and places; scores are their cosines.

What is in ``scores.json`` is defined here, what is in a part in `parts.py`; `writer.py` writes them.
"""

import csv
import json
import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet
from pydantic import TypeAdapter

from consumer.classify.decision import Decision
from consumer.classify.factory import build_head
from consumer.classify.head import Head
from consumer.classify.places import Group, Places
from consumer.classify.settings import DecideSettings
from consumer.classify.survive import one_line
from consumer.evaluate.scores.parts import ScorePart, check_part, empty, part_paths, read_part, read_post_ids, scored
from producer.base.errors import CommandError

VERSION = 3
"""1 had cosines in the place of vectors, 2 of the groups only the synonyms."""
INFO = "scores.json"
PLACES = "places.parquet"
"""The places' vectors: ``category`` and ``vector``."""
FAILED = "failed.csv"
FAILED_COLUMNS = ("post_id", "reason", "message")


MODEL = ("encoder", "model", "pretrained", "templates")
"""The settings that say which model gives the places' vectors, and from which prompts."""


@dataclass(frozen=True, slots=True)
class LabelSet:
    """What decides between places, once pictures and captions are vectors.

    Attributes:
        places: stamp of label set and prompts, as in labelled posts.
        categories: the places, in the order of the cosines.
        groups: of the places, level after level.
        image_logit_scale: inverse temperature of the softmax over places for pictures.
        text_logit_scale: the same for captions.
    """

    places: str
    categories: tuple[str, ...]
    groups: tuple[Group, ...]
    image_logit_scale: float
    text_logit_scale: float

    @classmethod
    def of(cls, places: Places, stamp: str, head: Head) -> Self:
        """Of these places, by what a head decides with."""
        return cls(stamp, places.categories, places.groups, head.image_logit_scale, head.text_logit_scale)

    def fields(self) -> dict[str, Any]:
        """By name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @property
    def synonyms(self) -> tuple[tuple[str, ...], ...]:
        """Clusters of categories that a picture may as well be given."""
        return tuple(group.members for group in self.groups if group.level == "synonyms")


@dataclass(frozen=True, slots=True)
class ScoreInfo(LabelSet):
    """What all scores of a folder have in common.

    Attributes:
        encoder: name of model and weights, as in labelled posts.
        model: the settings `MODEL`.
        threshold: the encoder's own, below which a post is not classified.
        dataset: where the posts came from: a dataset, or an export of vectors.
        posts: how many were chosen, those that failed included.
        ids_sha256: of their sorted ids, joined by newlines.
    """

    encoder: str
    model: dict[str, str | None]
    threshold: float
    dataset: Path
    posts: int
    ids_sha256: str

    @property
    def stamp(self) -> dict[str, str]:
        """What each part says of itself."""
        return {"encoder": self.encoder, "ids_sha256": self.ids_sha256}


def model_of(settings: DecideSettings) -> dict[str, str | None]:
    """The settings `MODEL` of these, as far as their encoder has them; a checkpoint is found from any folder."""
    model = {name: getattr(settings, name) for name in MODEL}
    if settings.encoder == "conse":
        return model | {"model": None, "pretrained": None}
    path = Path(settings.pretrained)
    return model | {"pretrained": str(path.resolve()) if path.is_file() else settings.pretrained}


@dataclass(frozen=True, slots=True)
class Scores:
    """A complete score folder, opened.

    Attributes:
        head: has the places' vectors.
    """

    folder: Path
    info: ScoreInfo
    head: Head

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Look at everything but the scores themselves.

        Raises:
            CommandError: there is no such folder, it is not complete, of another version, or a part is missing or of
                another model or dataset.
        """
        found = read_info(folder)
        if found is None:
            raise CommandError(f"{folder} is no score folder (no {INFO}): python -m consumer evaluate score writes one")
        if not found["complete"]:
            raise CommandError(f"{folder} is not complete: run evaluate score again with the same flags, it goes on")
        info = info_of(found, folder)
        scores = cls(folder, info, _head(info, read_places(folder, info)))
        there = sum(check_part(path, info.stamp) for path in part_paths(folder))
        failed = sum(1 for _ in read_failed(folder))
        if there + failed != info.posts:
            raise CommandError(
                f"{folder} was cut short: {info.posts} posts were scored, {there} are in its parts and {failed} "
                f"in {FAILED}; restore the missing parts, or delete the folder and score again"
            )
        return scores

    def with_places(self, path: Path | None) -> Self:
        """The same posts, scored with a label set of the user's and the folder's own prompts.

        Its vectors come from the disk, or once by the model that the folder names: no picture is encoded again.

        Args:
            path: of the label set; None, or the folder's own: the scores are these.

        Raises:
            CommandError: the label set or the model cannot be loaded.
        """
        if path is None:
            return self
        model: dict[str, Any] = {name: value for name, value in self.info.model.items() if value is not None}
        built = build_head(DecideSettings.model_construct(**model, places=path))  # variables do not count
        if (built.places_stamp, built.head.groups) == (self.info.places, self.info.groups):
            return self
        label_set = LabelSet.of(Places.load(path), built.places_stamp, built.head)
        return replace(self, info=replace(self.info, **label_set.fields()), head=built.head)

    def parts(self) -> Iterator[ScorePart]:
        """All posts, a part at a time (4,096 posts: 30 MB with 205 places and 512 dimensions).

        Raises:
            CommandError: a part is broken.
        """
        for path in part_paths(self.folder):
            yield scored(read_part(path, self._dimensions), self.head)

    def of(self, post_ids: Collection[str]) -> ScorePart:
        """These posts, in this order.

        Raises:
            CommandError: some are not in the scores; the message names the first.
        """
        wanted = set(post_ids)
        tables = [empty(self._dimensions)]
        for path in part_paths(self.folder):
            if rows := [row for row, post_id in enumerate(read_post_ids(path)) if post_id in wanted]:
                tables.append(read_part(path, self._dimensions).take(rows))
        found = pa.concat_tables(tables)
        row = {post_id: number for number, post_id in enumerate(found.column("post_id").to_pylist())}
        if missing := [post_id for post_id in post_ids if post_id not in row]:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise CommandError(f"{self.folder} has no scores of post {', '.join(missing[:3])}{more}")
        return scored(found.take(pa.array([row[post_id] for post_id in post_ids], pa.int64())), self.head)

    @property
    def _dimensions(self) -> int:
        return int(self.head.place_vectors.shape[1])


def _head(info: ScoreInfo, vectors: NDArray[np.float32]) -> Head:
    """Only its cosines are asked for: an ensemble decides."""
    scales = info.image_logit_scale, info.text_logit_scale
    return Head(info.categories, vectors, *scales, Decision(threshold=info.threshold))


def places_table(head: Head) -> Any:
    """The places' vectors as a pyarrow table."""
    vectors = head.place_vectors
    numbers = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel(), pa.float32()), vectors.shape[1])
    return pa.table({"category": pa.array(head.categories, pa.string()), "vector": numbers})


def read_places(folder: Path, info: ScoreInfo) -> NDArray[np.float32]:
    """The places' vectors ``[P, d]``.

    Raises:
        CommandError: their file is missing, broken, or of other places.
    """
    path = folder / PLACES
    try:
        table = parquet.read_table(path, columns=["category", "vector"])
        vectors = table.column("vector").combine_chunks()
        numbers = vectors.flatten().to_numpy(zero_copy_only=False).reshape(-1, vectors.type.list_size)
    except (OSError, KeyError, AttributeError, ValueError, pa.ArrowException) as error:
        raise CommandError(f"{path} cannot be read: {one_line(error)}; restore it, or score again") from None
    if tuple(table.column("category").to_pylist()) != info.categories:
        raise CommandError(f"{path} has other places than {folder / INFO}: restore it, or score again")
    return np.array(numbers, np.float32)  # a copy: what pyarrow gives cannot be written to, which torch minds


def read_info(folder: Path) -> dict[str, Any] | None:
    """What ``scores.json`` holds; None where there is none.

    Raises:
        CommandError: it is broken, or of another version.
    """
    path = folder / INFO
    try:
        found = json.loads(path.read_text("utf-8"))
        if found["version"] == VERSION:
            return dict(found)
        raise CommandError(
            f"{path} is of version {found['version']}, this program reads {VERSION}: delete the folder, and score its "
            f"posts again: {_renewal(folder, found)} with the flags of {found['encoder']} and {found['places']}; "
            "samples and marks stay good"
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CommandError(f"{path} cannot be read: {error!r}") from None


def _renewal(folder: Path, found: Mapping[str, Any]) -> str:
    """The command that makes a folder of this version of what one of another version says."""
    choice = found["choice"]
    flags = ["-o", str(folder)]
    if choice["posts"]:
        flags += ["--posts", str(choice["posts"]), "--seed", str(choice["seed"])]
    if choice["cities"]:
        flags += ["--cities", ",".join(choice["cities"])]
    return shlex.join(["python", "-m", "consumer", "evaluate", "score", found["dataset"]["path"], *flags])


def info_of(found: dict[str, Any], folder: Path) -> ScoreInfo:
    """The typed part of ``scores.json``.

    Raises:
        CommandError: a field is missing or of another type.
    """
    try:
        dataset = found["dataset"]
        return TypeAdapter(ScoreInfo).validate_python({**found, **dataset, "dataset": dataset["path"]})
    except (KeyError, TypeError, ValueError) as error:
        raise CommandError(f"{folder / INFO} is not whole: {type(error).__name__}: {one_line(error)}") from None


def read_failed(folder: Path) -> Iterator[dict[str, str]]:
    """The posts whose picture cannot be used: post_id, reason, message."""
    path = folder / FAILED
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)
