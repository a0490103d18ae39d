"""Pictures and captions of a sample's posts, read again from the dataset; small ones for pages."""

import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from consumer.classify.captions import readable
from consumer.classify.pictures.decode import LABELLED, PictureError
from consumer.classify.pictures.pool import decoders
from consumer.vector_table import exported_files
from producer.base.errors import CommandError
from producer.dataset.entry import Entry, Refused
from producer.dataset.open import open_dataset
from producer.post import Post


@dataclass(frozen=True, slots=True)
class Shown:
    """One post as a person looks at it.

    Attributes:
        jpeg: the picture, upright, at most as large as asked for, and without the camera's data (where it was taken).
        caption: as the model reads it; None without one.
    """

    post_id: str
    jpeg: bytes
    width: int
    height: int
    caption: str | None


def shown(dataset: Path, post_ids: Collection[str], side: int, quality: int = 85) -> Iterator[Shown]:
    """These posts, in the dataset's order; nothing but names is read of the others.

    Args:
        dataset: as `producer.dataset.open.open_dataset` takes it.
        post_ids: each is given once.
        side: longest side of the pictures, in pixels; smaller ones stay as they are.
        quality: of the JPEGs.

    Raises:
        CommandError: a post is no longer there, or its picture cannot be read.
    """
    for post in _read(dataset, post_ids):
        try:
            picture = Image.fromarray(decoders(LABELLED).one(post.picture))
        except PictureError as error:
            raise CommandError(f"{dataset}: the picture of post {post.post_id} cannot be shown: {error}") from None
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        written = io.BytesIO()
        picture.save(written, "JPEG", quality=quality)
        yield Shown(post.post_id, written.getvalue(), picture.width, picture.height, readable(post.caption))


def captions(dataset: Path, post_ids: Collection[str]) -> dict[str, str | None]:
    """Post -> its caption, as the model reads it; None without one.

    Raises:
        CommandError: a post is no longer there, or cannot be read.
    """
    return {post.post_id: readable(post.caption) for post in _read(dataset, post_ids)}


def _read(dataset: Path, post_ids: Collection[str]) -> Iterator[Post]:
    if exported_files(dataset) is not None:
        raise CommandError(
            f"{dataset} is an export, which has no pictures: `python -m consumer pictures {dataset} SAMPLE/posts.csv "
            "-o FOLDER` fetches them from the input topic; then --dataset FOLDER/posts.csv, or any that has them"
        )
    wanted = set(post_ids)
    # a table without cities needs one to be opened; which it is does not matter here
    for entry in open_dataset(dataset, city="unknown" if dataset.is_file() else None).entries():
        if not isinstance(entry, Entry) or entry.post_id not in wanted:
            continue
        wanted.remove(entry.post_id)
        try:
            yield entry.read(LABELLED.max_bytes)
        except Refused as error:
            raise CommandError(f"{dataset}: the picture of post {entry.post_id} cannot be shown: {error}") from None
        if not wanted:
            return
    if wanted:
        more = f" and {len(wanted) - 1} more" if len(wanted) > 1 else ""
        raise CommandError(f"{dataset} has no post {min(wanted)}{more}; --dataset says where the pictures are now")
