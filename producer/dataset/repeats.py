"""Posts that a table names more than once. Memory stays flat: hashes lie in a database that SQLite keeps for itself."""

import sqlite3
from typing import Literal

from producer.dataset.entry import Entry

CACHE_KIB = 32 * 1024
"""What SQLite holds in memory, about a million posts; the rest is in a temporary file."""


class Repeats:
    """The posts that have come. A post is the same by its id and its city."""

    def __init__(self) -> None:
        """None has come."""
        self._seen = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._seen.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        self._seen.execute("PRAGMA journal_mode = OFF")
        self._seen.execute("BEGIN")  # never ended: what is spilled is not written at each post
        self._seen.execute("CREATE TABLE seen (post INTEGER PRIMARY KEY, content INTEGER)")

    def look(self, entry: Entry) -> Literal["new", "same", "other"]:
        """Whether a post has come before, with the same picture, caption and time or with another one."""
        post = hash((entry.post_id, entry.city))  # 64 bits
        content = hash((entry.picture, entry.caption, entry.created_at, entry.content))
        if self._seen.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (post, content)).rowcount:
            return "new"
        ((first,),) = self._seen.execute("SELECT content FROM seen WHERE post = ?", (post,))
        return "same" if content == first else "other"

    def close(self) -> None:
        """Forget them."""
        self._seen.close()
