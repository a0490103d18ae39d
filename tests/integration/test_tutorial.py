"""The README's tutorial, typed as it stands there: from a folder of pictures to a table of labels."""

import json
import shlex
from pathlib import Path

from PIL import Image

from tests.conftest import ROOT, RunCli, Topics

PICTURES = 3


def commands() -> list[list[str]]:
    """The words of each command after ``python -m``."""
    section = (ROOT / "README.md").read_text("utf-8").partition("\n## Label your own pictures\n")[2]
    lines = section.split("```\n")[3].splitlines()
    typed = [shlex.split(line, comments=True) for line in lines]
    assert {tuple(words[:2]) for words in typed} == {("python", "-m")}
    return [words[2:] for words in typed]


def test_the_readme_s_tutorial_labels_a_folder_of_pictures(
    topics: Topics, counter_prefix: str, run_cli: RunCli, tmp_path: Path
) -> None:
    folder = tmp_path / "posts"
    folder.mkdir()
    for number in range(PICTURES):
        Image.new("RGB", (64, 48), (60 * number, 120, 200)).save(folder / f"{number}.jpg")
        (folder / f"{number}.txt").write_text("a bridge over the river", "utf-8")
    yours = {"/data/posts": str(folder), "labels": str(tmp_path / "labels")}
    environment = topics.environment | {
        "PLACESTREAM_COUNTER_PREFIX": counter_prefix,
        "PLACESTREAM_METRICS_PORT": "0",
    }

    outputs = {}
    for module, name, *arguments in commands():
        done = run_cli(module, name, *(yours.get(word, word) for word in arguments), env=environment)
        assert done.returncode == 0, (name, done.stdout, done.stderr)
        outputs[name] = done.stdout

    assert list(outputs) == ["topics", "replay", "label", "count", "popularity", "export"]
    assert f"posts: {PICTURES} posts" in outputs["popularity"]
    lines = [json.loads(line) for file in (tmp_path / "labels").glob("*.jsonl") for line in file.open()]
    assert sorted(line["post_id"] for line in lines) == [str(number) for number in range(PICTURES)]
