"""The sample folder: which posts were drawn, from which strata, and the hash that ties marks to them."""

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import TypeAdapter
from pydantic_core import to_json

from consumer.classify.survive import one_line
from consumer.evaluate.pages.files import table, unquoted, write
from consumer.evaluate.scores.folder import Scores
from producer.base.errors import CommandError

VERSION = 1
INFO = "sample.json"
POSTS = "posts.csv"
COLUMNS = ("post_id", "city", "stratum", "prelabel")

Kind = Literal["a", "b", "c"]


@dataclass(frozen=True, slots=True)
class Stratum:
    """A class that posts were drawn from.

    Attributes:
        place: its category; None for the whole dataset.
        posts: in the dataset.
        sampled: of them.
    """

    place: str | None
    posts: int
    sampled: int


@dataclass(frozen=True, slots=True)
class SampledPost:
    """A post that was drawn.

    Attributes:
        stratum: the category it was drawn from; None when drawn from the whole dataset.
        prelabel: its pre-label; None where the sample has none.
    """

    post_id: str
    city: str
    stratum: str | None
    prelabel: str | None


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample folder, opened.

    Attributes:
        folder: where it is.
        kind: of experiment A, B, or of the whole dataset (c).
        seed: of the random choice.
        scores_path: the score folder it was drawn from.
        dataset: where the pictures are.
        encoder: of those scores.
        places: of those scores.
        ids_sha256: fingerprint of those scores' posts.
        categories: of those scores.
        strata: what was drawn from.
        posts: what was drawn, in random order.
        prelabelled_by: who made the pre-labels; None without them.
        sha256: of ``posts.csv``: the sample's identity.
    """

    folder: Path
    kind: Kind
    seed: int
    scores_path: Path
    dataset: Path
    encoder: str
    places: str
    ids_sha256: str
    categories: tuple[str, ...]
    strata: tuple[Stratum, ...]
    posts: tuple[SampledPost, ...]
    prelabelled_by: str | None
    sha256: str

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read a sample folder.

        Raises:
            CommandError: there is none, it is of another version, or its posts were changed.
        """
        path = folder / INFO
        try:
            found = json.loads(path.read_text("utf-8"))
            posts = (folder / POSTS).read_bytes()
            if found["version"] != VERSION:
                raise CommandError(f"{path} is of version {found['version']}; this program reads {VERSION}: draw again")
            if hashlib.sha256(posts).hexdigest() != found["sha256"]:
                raise CommandError(f"{folder / POSTS} is not what was drawn: restore it, or draw the sample again")
            return cls._of(folder, found, posts)
        except FileNotFoundError as error:
            name = Path(error.filename).name
            raise CommandError(f"{folder} is no sample folder (no {name}): evaluate sample-b writes one") from None
        except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
            raise CommandError(f"{path} cannot be read: {type(error).__name__}: {one_line(error)}") from None

    def scores(self, moved: Path | None = None) -> Scores:
        """The score folder that it was drawn from.

        Args:
            moved: where that is now; None for where it was.

        Raises:
            CommandError: it is not there, not whole, or of another model, label set or dataset.
        """
        if moved is None and not self.scores_path.exists():
            raise CommandError(
                f"{self.scores_path}, from which {self.folder} was drawn, is not there: --sample-scores says where it "
                "is now"
            )
        scores = Scores.open(moved or self.scores_path)
        info = scores.info
        if (info.encoder, info.places, info.ids_sha256) != (self.encoder, self.places, self.ids_sha256):
            raise CommandError(
                f"{scores.folder} is not what {self.folder} was drawn from: that is {self.encoder} with {self.places} "
                f"on {self.dataset}, this {info.encoder} with {info.places} on {info.dataset}"
            )
        return scores

    @classmethod
    def _of(cls, folder: Path, found: dict[str, Any], posts: bytes) -> Self:
        scores = found["scores"]
        rows = csv.DictReader(io.StringIO(posts.decode("utf-8"), newline=""))
        drawn = [{column: unquoted(value or "") or None for column, value in row.items()} for row in rows]
        where = {"folder": folder, "scores_path": scores["path"], "posts": drawn}
        return TypeAdapter(cls).validate_python({**found, **scores, **where})


def write_sample(
    folder: Path,
    kind: Kind,
    seed: int,
    scores: Scores,
    strata: Sequence[Stratum],
    posts: Sequence[SampledPost],
    prelabelled_by: str | None = None,
) -> Sample:
    """Write a sample folder; ``sample.json`` comes last, so that half a sample is none.

    Raises:
        CommandError: another sample is there (marks may depend on it), or the folder cannot be written.
    """
    rows = ((post.post_id, post.city, post.stratum, post.prelabel) for post in posts)
    content = table(COLUMNS, rows).encode()
    sha256 = hashlib.sha256(content).hexdigest()
    check_free(folder, sha256)
    info = scores.info
    described = {
        "version": VERSION,
        "kind": kind,
        "seed": seed,
        "scores": {
            "path": str(scores.folder.resolve()),
            "encoder": info.encoder,
            "places": info.places,
            "ids_sha256": info.ids_sha256,
        },
        "dataset": str(info.dataset),
        "categories": info.categories,
        "strata": strata,
        "prelabelled_by": prelabelled_by,
        "sha256": sha256,
    }
    write(folder / POSTS, content)
    write(folder / INFO, to_json(described, indent=1) + b"\n")
    return Sample.open(folder)


def check_free(folder: Path, sha256: str | None = None) -> None:
    """Whether a sample may be written there: nothing is, or (given its hash) the very same sample.

    Raises:
        CommandError: another sample is there.
    """
    path = folder / INFO
    if path.exists():
        try:
            same = json.loads(path.read_text("utf-8"))["sha256"] == sha256
        except (OSError, ValueError, KeyError, TypeError):
            same = False
        if not same:
            raise CommandError(f"{folder} holds another sample, and marks may depend on it: choose another folder")
