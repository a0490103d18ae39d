"""One post of a dataset before its files are read, and what becomes of it when they cannot be."""

import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from producer.base.errors import Wrong
from producer.city import city_name
from producer.dataset.notices import Notices
from producer.dataset.text import GUESSED, decode, forms
from producer.post import Post


class Refused(Exception):
    """A post of the dataset that cannot be sent: counted and named, and the replay goes on.

    Attributes:
        post_id: None where not even that can be read.
        reason: one line that says where and why.
        kind: why, in words that others of its kind share.
    """

    def __init__(self, post_id: str | None, reason: str, kind: str | None = None) -> None:
        super().__init__(reason)
        self.post_id = post_id
        self.reason = reason
        self.kind = kind or reason


def refused(post_id: str | None, where: str, error: ValueError) -> Refused:
    """A post that is refused for what is wrong with it."""
    return Refused(post_id, f"{where}: {error}", error.kind if isinstance(error, Wrong) else str(error))


@dataclass(frozen=True, slots=True)
class Entry:
    """A post whose files are not read yet.

    Attributes:
        picture: path of the picture's file.
        caption: the text itself, or where its file may lie, the best first (none there: no caption).
        inside: the folder that the picture may not leave (a manifest's); None for a folder's own files.
        where: the entry as a person finds it (``posts.csv line 7``); the picture's path when empty.
        content: the picture itself, where it lies in a table; its file is not read then.
        notices: are told what was not read as it stands.
    """

    post_id: str
    city: str
    picture: Path
    caption: str | tuple[Path, ...] = ()
    created_at: datetime | None = None
    inside: Path | None = None
    where: str = ""
    content: bytes | None = field(default=None, repr=False)
    notices: Notices | None = field(default=None, compare=False, repr=False)

    def read(self, max_bytes: int) -> Post:
        """Read the files.

        Raises:
            Refused: a file cannot be read, is empty or larger than `max_bytes`, or a text is no text.
        """
        try:
            self.post_id.encode()
            city = city_name(self.city)
            picture = self._read_picture(max_bytes)
            caption = self._read_caption()
        except UnicodeEncodeError:
            raise refused(None, self._where(), Wrong("the post_id is not UTF-8", repr(self.post_id))) from None
        except OSError as error:
            raise refused(self.post_id, self._where(), ValueError(error.strerror or str(error))) from None
        except ValueError as error:
            raise refused(self.post_id, self._where(), error) from None
        return Post(self.post_id, city, picture, caption, self.created_at)

    def _read_picture(self, max_bytes: int) -> bytes:
        if self.content is not None:
            picture = self.content
            _check_size(len(picture), max_bytes)
        else:
            with self._file().open("rb") as file:
                _check_size(os.fstat(file.fileno()).st_size, max_bytes)
                picture = file.read()
        if not picture:
            raise ValueError("the picture is empty (0 bytes)")
        return picture

    def _file(self) -> Path:
        path = next((path for path in map(Path, forms(str(self.picture))) if path.exists()), self.picture)
        if self.inside is not None:
            path = path.resolve()
            if not path.is_relative_to(self.inside.resolve()):
                raise Wrong("the picture lies outside the manifest's folder", shown(self.picture))
        if not path.is_file():  # a pipe would block
            raise Wrong("the picture is not a file" if path.exists() else "there is no picture", shown(path))
        return path

    def _read_caption(self) -> str | None:
        if isinstance(self.caption, str):
            text = self.caption
        else:
            file = next((path for path in self.caption if path.is_file()), None)
            if file is None:
                return None
            text, certain = decode(file.read_bytes())
            if not certain and self.notices:
                kind = f"a caption that is {GUESSED}"
                self.notices.add(kind, f"{shown(file)}: {kind}")
        return text if text.strip() else None

    def _where(self) -> str:
        return self.where or shown(self.picture)


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise Wrong(f"the picture is larger than a record may be ({max_bytes} bytes)", f"{size} bytes")


def shown(path: Path) -> str:
    """The path on one line, whatever is in it."""
    return repr(str(path))[1:-1]
