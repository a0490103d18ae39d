"""An export of the live stream's vectors as what `score` takes: posts of one encoder, without running it."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from consumer.classify.identity import is_of
from consumer.classify.label import Vectors
from consumer.vector_table import Row, batches, each_vector, encoders_of, post_row

NAMES = ["post_id", "city", "encoder"]
REST = ("created_at", "sentiment", "language", "caption")


class ExportedPost(NamedTuple):
    """A post by its names; its row is there where vectors were asked for."""

    post_id: str
    city: str
    encoder: str
    row: Row | None = None


class Exported:
    """The posts of an export whose vectors one encoder made; the same posts in the same order each time.

    Attributes:
        folder: of the export.
        encoders: posts by the name of their encoder: as it is, so is how it computed.
        others: posts by the names of other encoders: they are left out.
    """

    def __init__(self, folder: Path, files: Collection[Path], identity: str) -> None:
        """Look at the names.

        Raises:
            CommandError: a file is broken, or no vector is this encoder's.
        """
        self.folder = folder
        self._files = sorted(files)  # of what is exported meanwhile nothing is seen
        self._identity = identity
        self.encoders, self.others = encoders_of(folder, self._files, identity)

    def cities(self) -> tuple[str, ...]:
        """Of all posts, sorted."""
        return tuple(sorted({post.city for post in self.entries()}))

    def entries(self, cities: Collection[str] | None = None) -> Iterator[ExportedPost]:
        """The posts (of these cities), without their vectors."""
        for batch in batches(self._files, NAMES):
            for post in map(ExportedPost, *(batch[name].to_pylist() for name in NAMES)):
                if self._is_wanted(post, cities):
                    yield post

    def rows(self, cities: Collection[str] | None = None) -> Iterator[ExportedPost]:
        """The same posts with their vectors."""
        columns = [*NAMES, *REST, "image", "text", "descriptor"]
        for batch in batches(self._files, columns):
            image, text, descriptor = (each_vector(batch[name]) for name in ("image", "text", "descriptor"))
            vectors = map(Vectors, image, text, descriptor)
            names = [batch[name].to_pylist() for name in NAMES]
            rest = [batch[name].to_pylist() for name in REST]
            for each in zip(*names, *rest, vectors, strict=True):
                post_id, city, encoder, created_at, sentiment, language, caption, of_post = each
                row = post_row(post_id, city, created_at, sentiment, language, caption, encoder, of_post)
                if self._is_wanted(post := ExportedPost(post_id, city, encoder, row), cities):
                    yield post

    def _is_wanted(self, post: ExportedPost, cities: Collection[str] | None) -> bool:
        return is_of(post.encoder, self._identity) and (cities is None or post.city in cities)
