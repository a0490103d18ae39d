import re

import pytest

from consumer.evaluate import commands as command
from producer.base.errors import CommandError

FILES = {
    "score": ("dataset", "scores.json, places.parquet, part-00000.parquet …, and failed.csv"),
    "prelabel": ("dataset and a checkpoint", "CSV post_id,place,probability"),
    "sample-a": ("score folder, and pre-labels", "sample.json, posts.csv, counts.csv and counts.png"),
    "sample-b": ("score folder", "sample.json, posts.csv, counts.csv and counts.png"),
    "sample-c": ("score folder", "sample.json and posts.csv"),
    "sheet": ("sample folder, its score folder", "index.html with pictures/, .* and sheet.csv"),
    "agreement": ("filled sheets of one sample", "CSV with one row for every label"),
    "curves": ("score folder, a sample .* filled sheet", "curves.csv, top1.csv, .* and curves.json"),
    "report": ("folder of `evaluate curves`, the sample and its marks", "page, and the figures as PNG and the tables"),
    "compare": ("two or more score folders .* a sample and its filled sheet", "them as CSV"),
    "popularity": (
        "counters in Redis, or the labelled topic .* a sample, its marks and its score",
        "one HTML file, and its figures",
    ),
}
"""What each command reads and writes, in the words of its help."""


@pytest.mark.parametrize("name", command.COMMANDS)
def test_help_says_what_a_command_reads_and_writes(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "500")
    with pytest.raises(SystemExit):
        command.main([name, "--help"])
    said = " ".join(capsys.readouterr().out.partition("options:")[0].split())
    reads, writes = FILES[name]
    assert re.search(rf"\bReads .*?{reads}.*?\b[Ww]rites .*?{writes}", said), said


def test_a_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "find_spec", lambda package: None if package in ("pandas", "jinja2") else object())
    with pytest.raises(CommandError, match=r"^evaluate needs the packages jinja2, pandas: pip install .*evaluate\]'$"):
        command.main(["score"])
