"""One post of a dataset before its files are read, and what becomes of it when they cannot be."""

import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from producer.dataset.notices import Notices
from producer.dataset.text import GUESSED, decode
from producer.post import Post, city_name


class Refused(Exception):
    """A post of the dataset that cannot be sent: counted and named, and the replay goes on.

    Attributes:
        post_id: None where not even that can be read.
        reason: one line that says where and why.
    """

    def __init__(self, post_id: str | None, reason: str) -> None:
        super().__init__(reason)
        self.post_id = post_id
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Entry:
    """A post whose files are not read yet.

    Attributes:
        picture: path of the picture's file.
        caption: the text itself, or where its file may lie, the best first (none there: no caption).
        inside: the folder that the picture may not leave (a manifest's); None for a folder's own files.
        where: the entry as a person finds it (``posts.csv line 7``); the picture's path when empty.
        notices: are told what was not read as it stands.
    """

    post_id: str
    city: str
    picture: Path
    caption: str | tuple[Path, ...] = ()
    created_at: datetime | None = None
    inside: Path | None = None
    where: str = ""
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
            raise Refused(None, f"{self._where()}: the post_id {self.post_id!r} is not UTF-8") from None
        except OSError as error:
            raise Refused(self.post_id, f"{self._where()}: {error.strerror or error}") from None
        except ValueError as error:
            raise Refused(self.post_id, f"{self._where()}: {error}") from None
        return Post(self.post_id, city, picture, caption, self.created_at)

    def _read_picture(self, max_bytes: int) -> bytes:
        path = self.picture
        if self.inside is not None:
            path = path.resolve()
            if not path.is_relative_to(self.inside.resolve()):
                raise ValueError(f"the picture {shown(self.picture)} lies outside the manifest's folder")
        if not path.is_file():  # a pipe would block
            raise ValueError(f"{shown(path)} is not a file" if path.exists() else f"there is no picture {shown(path)}")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > max_bytes:
                raise ValueError(f"the picture has {size} bytes; the largest record that may be sent has {max_bytes}")
            picture = file.read()
        if not picture:
            raise ValueError("the picture is empty (0 bytes)")
        return picture

    def _read_caption(self) -> str | None:
        if isinstance(self.caption, str):
            text = self.caption
        else:
            file = next((path for path in self.caption if path.is_file()), None)
            if file is None:
                return None
            text, certain = decode(file.read_bytes())
            if not certain and self.notices:
                self.notices.add(f"a caption that is {GUESSED}", shown(file))
        return text if text.strip() else None

    def _where(self) -> str:
        return self.where or shown(self.picture)


def shown(path: Path) -> str:
    """The path on one line, whatever is in it."""
    return repr(str(path))[1:-1]
