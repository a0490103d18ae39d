import errno
import gc
import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

from consumer.export.table import COLUMNS, CONTENTS, to_row
from consumer.export.write import UNFINISHED, Unfinished
from tests.labels import labeled, labeled_value


def rows(number: int) -> list[dict[str, Any]]:
    return [
        to_row(SimpleNamespace(topic="l", partition=0, offset=n, timestamp=1, value=labeled(post_id=str(n)).to_value()))
        for n in range(number)
    ]


def unfinished(folder: Path, format: str = "parquet", **changes: Any) -> Unfinished:
    return Unfinished(folder, format, replace(CONTENTS["labels"], **changes))


def write_all(file: Unfinished) -> None:
    for _ in range(9):
        file.add(rows(100))
    file.finish("whole")


def test_a_file_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    file = unfinished(tmp_path)
    file.add(rows(3))

    assert [path.name for path in tmp_path.iterdir()] == [UNFINISHED]
    file.finish("whole.parquet")

    assert [path.name for path in tmp_path.iterdir()] == ["whole.parquet"]
    assert pq.read_table(tmp_path / "whole.parquet").column("post_id").to_pylist() == ["0", "1", "2"]


def test_rows_of_many_calls_go_into_few_row_groups(tmp_path: Path) -> None:
    file = unfinished(tmp_path, group=4)
    for _ in range(5):
        file.add(rows(2))
    file.finish("p")

    found = pq.ParquetFile(tmp_path / "p")
    assert found.schema_arrow.equals(COLUMNS)
    assert [found.metadata.row_group(n).num_rows for n in range(found.num_row_groups)] == [4, 4, 2]


def test_a_line_of_json_has_the_columns_and_instants_as_on_the_wire(tmp_path: Path) -> None:
    file = unfinished(tmp_path, "jsonl")
    file.add(rows(2))
    file.finish("j")

    lines = [json.loads(line) for line in (tmp_path / "j").read_text("utf-8").splitlines()]
    assert [list(line) for line in lines] == [COLUMNS.names] * 2
    wire = labeled_value()
    for name in (
        "city",
        "place",
        "confidence",
        "sentiment",
        "language",
        "created_at",
        "labeled_at",
        "decision",
        "source",
    ):
        assert lines[1][name] == wire[name]
    assert lines[1]["record_time"] == "1970-01-01T00:00:00.001Z"


@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_a_file_that_is_given_up_leaves_nothing_behind(tmp_path: Path, format: str) -> None:
    file = unfinished(tmp_path, format)
    file.add(rows(2))
    file.discard()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("group", [1, 20_000], ids=["while it is written", "at its end"])
@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_a_full_disk_is_the_error_and_leaves_nothing_behind(tmp_path: Path, format: str, group: int) -> None:
    (tmp_path / UNFINISHED).symlink_to("/dev/full")
    file = unfinished(tmp_path, format, group=group)
    with pytest.raises(OSError, match="No space left on device"):
        write_all(file)
    file.discard()
    del file
    gc.collect()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_a_file_that_cannot_be_brought_to_the_disk_is_given_up(
    tmp_path: Path, format: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    file = unfinished(tmp_path, format)
    file.add(rows(2))
    monkeypatch.setattr(os, step, failing)
    with pytest.raises(OSError, match="Input/output error"):
        file.finish("whole")
    file.discard()

    assert list(tmp_path.iterdir()) == []
