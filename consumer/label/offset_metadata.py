"""What a committed offset says besides, in its metadata: ``tries=2;trying=1;by=MEMBER;topic_id=ID``, or less.

Whoever commits progress writes the topic's id alone. An earlier version reads an id only where nothing precedes it;
otherwise it takes the offset as one of the present topic.
"""

from dataclasses import dataclass
from urllib.parse import quote, unquote


@dataclass(frozen=True, slots=True)
class Note:
    """What a committed offset says besides.

    Attributes:
        by: member of the group that began here, and has not committed anything since; empty: none.
        tries: members that died while they had the next record alone.
        is_trying: whether `by` has it alone.
        topic_id: of the topic that it was committed for; empty: it does not say.
    """

    by: str = ""
    tries: int = 0
    is_trying: bool = False
    topic_id: str = ""

    @classmethod
    def of(cls, metadata: str | None) -> "Note":
        """Read it; what others have written there says nothing."""
        said = dict(part.split("=", 1) for part in (metadata or "").split(";") if "=" in part)
        tries = said.get("tries", "")
        return cls(
            by=unquote(said.get("by", "")),
            tries=int(tries) if tries.isascii() and tries.isdigit() and len(tries) < 10 else 0,
            is_trying=said.get("trying") == "1",
            topic_id=said.get("topic_id", ""),
        )

    def to_metadata(self) -> str:
        """As it is committed."""
        trying = int(self.is_trying)
        said = {"tries": self.tries, "trying": trying, "by": quote(self.by), "topic_id": self.topic_id}
        return ";".join(f"{name}={value}" for name, value in said.items() if value)
