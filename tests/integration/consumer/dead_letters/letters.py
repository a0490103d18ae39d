"""Dead letters for a replay, and a replay of them."""

from typing import Any

from consumer.dead_letter import ATTEMPTS, DeadLetter, to_record
from tests.conftest import RunCli, Topics
from tests.unit.consumer.label.records import Record


def dead_letter(
    name: str, topic: str, reason: str = "not_an_image", partition: int = 0, attempts: int | None = None
) -> tuple[bytes | None, bytes | None, list[tuple[str, Any]]]:
    """A dead letter's record as `label` writes it."""
    original = Record(topic, partition, 7, name.encode(), f"value of {name}".encode(), [("city", b"london")])
    key, value, headers = to_record(
        original, DeadLetter(reason, "SomeError", f"what was wrong with {name}"), "placestream"
    )
    return key, value, headers + ([(ATTEMPTS, str(attempts).encode())] if attempts else [])


def names(records: list[Any]) -> list[str]:
    return [record.key.decode() for record in records]


def replay(run_cli: RunCli, topics: Topics, *flags: str) -> str:
    ended = run_cli("consumer", "dead-letters", "replay", *flags, env=topics.environment)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
