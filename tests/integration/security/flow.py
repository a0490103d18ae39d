"""Every role on a secured broker and Redis, in the order in which data goes through them."""

import re
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import clean_environment, run_to_end
from tests.integration.security.secured import PASSWORD, REDIS_PASSWORD, Right, Secured, user_of
from tests.wire import picture

ONCE = ("--stop-at-end", "--metrics-port", "0")
BENCHMARK = ("--parts", "null", "--null-posts", "100", "--repeats", "1", "--partitions", "1", "--posts", "8")


@dataclass(frozen=True, slots=True)
class Flow:
    """Topics, counters and folders of its own.

    Attributes:
        secured: the servers.
        folder: where the dataset is (``write_dataset``) and the export goes.
        names: setting -> name, of topics and group.
    """

    secured: Secured
    folder: Path
    names: dict[str, str] = field(default_factory=lambda: fresh_names())

    def commands(self) -> dict[str, tuple[str, ...]]:
        """Role -> module and arguments; a later one needs what an earlier one has written."""
        vectors, some = str(self.folder / "vectors"), str(self.folder / "some.csv")
        return {
            "topics": ("producer", "topics", "--partitions", "1"),
            "replay": ("producer", "replay", str(self.folder / "data")),
            "label": ("tests.light", *ONCE, "--session-timeout", "6", "--group-id", self.names["GROUP_ID"]),
            "relabel": ("tests.relight", *ONCE, "--session-timeout", "6", "--group-id", self.names["GROUP_ID"]),
            "diff": ("consumer", "diff", self.names["OUTPUT_TOPIC"], self.names["OUTPUT_TOPIC"]),
            "count": ("consumer", "count", *ONCE),
            "popularity": ("consumer", "popularity"),
            "verify": ("consumer", "verify"),
            "recount": ("consumer", "recount"),
            "export": ("consumer", "export", "-o", str(self.folder / "labels")),
            "export vectors": ("consumer", "export", "-o", vectors, "--vectors-topic", self.names["VECTORS_TOPIC"]),
            "pictures": ("consumer", "pictures", vectors, some, "-o", str(self.folder / "pictures")),
            "evaluate popularity": (
                *("consumer", "evaluate", "popularity", "--from-topic", "--heat-maps", "0"),
                *("-o", str(self.folder / "popularity.html")),
            ),
            "board": ("consumer", "board", "--port", "0", "--since", "1h", "--search", "--encoder", "conse"),
            "benchmark": ("consumer", "benchmark", *BENCHMARK),
            "dead-letters list": ("consumer", "dead-letters", "list", "--json"),
            "dead-letters replay": ("consumer", "dead-letters", "replay"),
        }

    def run(self, role: str, *flags: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """The role's command to its end, as its own user; whatever comes of it, no secret is in what it writes."""
        changed = {f"PLACESTREAM_{name}": value for name, value in changes.items()}
        ended = run_to_end(self.folder, self.environment(role) | changed, *self.commands()[role], *flags)
        written = ended.stdout + ended.stderr
        assert not any(secret in written for secret in (PASSWORD, REDIS_PASSWORD, "hunter2")), written
        assert "Traceback" not in written, written
        return ended

    def environment(self, role: str) -> dict[str, str]:
        """The variables by which a role reaches the servers as its own user, and those that name its topics."""
        topics = {f"PLACESTREAM_{name}": topic for name, topic in self.names_of(role).items() if name.endswith("TOPIC")}
        more = {"PLACESTREAM_COUNTER_PREFIX": "{" + self.names["GROUP_ID"] + "}", "PLACESTREAM_STARTUP_TIMEOUT": "10"}
        secured = self.secured.kafka(user_of(role)) | self.secured.counters()
        return clean_environment() | topics | more | secured

    def allow(self, role: str, *rights: Right) -> None:
        """Let the role's user do just this."""
        self.secured.allow(user_of(role), rights, self.names_of(role))

    def resolved(self, role: str, right: Right) -> str:
        """The name that a right of a role is about."""
        return right.resolved(self.names_of(role))

    def names_of(self, role: str) -> Mapping[str, str]:
        """Setting -> name; the outputs of `relabel` are its own."""
        if role != "relabel":
            return self.names
        return self.names | {name: f"{self.names[name]}-again" for name in ("OUTPUT_TOPIC", "DEAD_LETTER_TOPIC")}


def write_dataset(folder: Path) -> None:
    """Three pictures and two that are none, for every command of a flow."""
    data = folder / "data"
    data.mkdir()
    (folder / "some.csv").write_text("post_id\nred\ngreen\n")
    for colour in ("red", "green", "blue"):
        (data / f"{colour}.png").write_bytes(picture(colour))
    for name in ("broken", "cut"):
        (data / f"{name}.jpg").write_bytes(b"\xff\xd8\xff no picture")


def fresh_names() -> dict[str, str]:
    """Setting -> a name that nobody has."""
    unique = uuid.uuid4().hex[:8]
    return {
        "INPUT_TOPIC": f"{unique}-posts",
        "OUTPUT_TOPIC": f"{unique}-labeled",
        "DEAD_LETTER_TOPIC": f"{unique}-dlt",
        "VECTORS_TOPIC": f"{unique}-vectors",
        "GROUP_ID": f"{unique}-group",
    }


def one_line(ended: subprocess.CompletedProcess[str]) -> str:
    """The only line beside the log and its warnings with which a command ended; exit code 1."""
    assert ended.returncode == 1, ended.stderr
    log = re.compile(r"\d\d:\d\d:\d\d |topic \S+: (DESCRIBE_CONFIGS|READ) is not allowed")  # `producer` has no times
    (line,) = (line for line in ended.stderr.splitlines() if not log.match(line))
    return line
