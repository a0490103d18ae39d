"""`list` and `show` against a real dead-letter topic."""

import json
from pathlib import Path

from consumer.dead_letter import ATTEMPTS, DeadLetter, to_record
from deploy.local.stack import Stack
from tests.conftest import RunCli, Topics
from tests.unit.consumer.label.records import Record
from tests.wire import picture, write


def test_dead_letters_are_listed_newest_last_and_shown_with_their_picture(
    stack: Stack, topics: Topics, run_cli: RunCli, tmp_path: Path
) -> None:
    def run(*arguments: str, code: int = 0) -> str:
        ended = run_cli("consumer", "dead-letters", *arguments, env=topics.environment)
        assert ended.returncode == code, ended.stderr
        assert "Traceback" not in ended.stderr
        return ended.stdout if code == 0 else ended.stderr

    assert run("list") == "no dead letters\n"
    assert "no dead letter of 1480879485913200243" in run("show", "1480879485913200243", code=1)

    older = Record(topics.input, 0, 4711, b"1480879485913200243", picture(), [("caption", b"[bold]red\x1b[31m")])
    newer = Record(topics.input, 1, 12, b"new", b"text", [])
    for original, dead in (
        (older, DeadLetter("truncated_image", "TruncatedImage", "pixels of the PNG cannot be read: " + "very " * 40)),
        (newer, DeadLetter("not_an_image", "NotAnImage", "4 bytes that are no picture")),
    ):
        key, value, headers = to_record(original, dead, "placestream")
        write(stack, topics.dead_letter, [(key, value, [*headers, (ATTEMPTS, b"2")])])

    table = run("list")
    assert max(map(len, table.splitlines())) <= 80
    assert table.index("1480879485913200243") < table.index("truncated_image") < table.index("not_an_image")
    assert f"{topics.input}/0/4711" in table
    assert table.endswith("2 dead letters\n")
    lines = [
        json.loads(line) for line in run("list", "--json", "--reason", "not_an_image", "--limit", "5").splitlines()
    ]
    assert [(line["id"], line["attempts"], line["offset"], line["replayed"]) for line in lines] == [
        ("new", 2, 12, False)
    ]
    assert "the newest 1 are shown" in run("list", "--limit", "1")

    saved = tmp_path / "picture.png"
    said = run("show", f"{topics.input}/0/4711", "--save", str(saved))
    assert saved.read_bytes() == older.value
    assert "PNG, 16 x 16 pixels" in said
    assert "[bold]red\\x1b[31m" in said
    assert "\x1b" not in said
    for name, _ in to_record(older, DeadLetter("truncated_image", "", ""), "placestream")[2]:
        assert name in said
    assert "Is a directory" in run("show", "new", "--save", str(tmp_path), code=1)
