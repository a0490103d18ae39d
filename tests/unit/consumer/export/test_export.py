import base64
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from consumer.export.export import Tally, check_reach, fill, say_of_columns
from consumer.export.folder import About
from consumer.export.ranges import Range, files_of, missing
from consumer.export.settings import ExportSettings
from consumer.export.table import COLUMNS
from producer.base.settings import load
from producer.post import parse_time
from tests.labels import golden, labeled

Polled = tuple[Sequence[int], int]  # offsets of the records, and the offset below which no more come


def record(offset: int) -> Any:
    """Offset 666 is no labelled post; each is written a second after the offset before."""
    value = b"?" if offset == 666 else labeled().to_value()
    return SimpleNamespace(topic="l", partition=1, offset=offset, timestamp=offset * 1000, value=value)


def files(
    folder: Path, stream: list[Polled], first: int, end: int, since: str | None = None
) -> tuple[list[str], Tally]:
    settings = load(ExportSettings, "x", ["-o", str(folder), "--format", "jsonl", "--offsets-per-file", "100"])
    about = About(topic="l", topic_id="i", format="jsonl", since=parse_time(since) if since else None)
    records = (([record(offset) for offset in found], position) for found, position in stream)
    tally = Tally()
    done: list[int] = []
    fill(settings, about, Range(1, first, end), records, tally, done.append)
    assert sum(done) == end - first
    return sorted(path.name for path in folder.iterdir()), tally


@pytest.mark.parametrize(
    ("stream", "first", "end", "names"),
    [
        ([([5, 99, 100, 140], 141)], 0, 141, ["0-000000000000-000000000099", "0-000000000100-000000000140"]),
        ([([50], 60), ([100], 150)], 50, 150, ["0-000000000050-000000000099", "0-000000000100-000000000149"]),
        ([([5], 100)], 0, 100, ["0-000000000000-000000000099"]),
        ([([5], 250), ([260], 300)], 0, 300, ["0-000000000000-000000000099", "0-000000000100-000000000299"]),
        ([([], 300)], 0, 300, []),
        ([([5], 300)], 0, 300, ["0-000000000000-000000000099"]),
    ],
    ids=["a part-filled last one", "begun in between", "full", "joined where it is empty", "empty", "an empty rest"],
)
def test_files_end_at_multiples_and_at_the_end(
    tmp_path: Path, stream: list[Polled], first: int, end: int, names: list[str]
) -> None:
    found, tally = files(tmp_path, stream, first, end)

    assert found == [f"l-1-{name.removeprefix('0-')}.jsonl" for name in names]
    assert (tally.files, tally.rows) == (len(names), sum(len(offsets) for offsets, _ in stream))


def test_what_is_no_labelled_post_is_counted_and_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found, tally = files(tmp_path, [([665, 666, 667], 668)], 665, 668)

    assert (len(found), tally.rows, tally.unreadable) == (1, 2, 1)
    (said,) = (entry.__dict__["fields"] for entry in caplog.records)
    assert (said["topic"], said["partition"], said["offset"]) == ("l", 1, 666)


def test_records_of_an_earlier_time_are_left_out_although_they_come_later(tmp_path: Path) -> None:
    _, tally = files(tmp_path, [([30, 5, 29], 31)], 0, 31, since="1970-01-01T00:00:29")

    assert (tally.rows, tally.unreadable) == (2, 0)


def test_a_failure_leaves_whole_files_and_nothing_else(tmp_path: Path) -> None:
    def failing() -> Any:
        yield [record(5)], 150
        raise KeyboardInterrupt

    settings = load(ExportSettings, "x", ["-o", str(tmp_path), "--offsets-per-file", "100"])
    about = About(topic="l", topic_id="i", format="parquet", since=None)
    with pytest.raises(KeyboardInterrupt):
        fill(settings, about, Range(1, 0, 300), failing(), Tally(), lambda offsets: None)

    assert [path.name for path in tmp_path.iterdir()] == ["l-1-000000000000-000000000099.parquet"]


@pytest.mark.parametrize(
    ("since", "wanted", "earliest", "covered", "said"),
    [
        (False, 0, 0, [], None),
        (False, 70, 70, [], "exported: 0"),
        (False, 70, 70, [(1, 0, 50)], "exported: 50"),
        (False, 70, 70, [(1, 0, 70), (2, 0, 9)], None),
        (False, 70, 70, [(2, 0, 90)], "exported: 0"),
        (True, 70, 70, [], "exported, or before --since: 0"),
        (True, 90, 70, [], None),
        (True, 90, 70, [(1, 60, 80)], None),
        (True, 70, 70, [(1, 40, 50)], "exported: 50"),
    ],
    ids=[
        "all is there",
        "nothing was exported",
        "less was exported",
        "all was exported",
        "another partition was",
        "nothing older is left",
        "something older is left",
        "what is older is no loss",
        "what was written since",
    ],
)
def test_labels_that_expired_unexported_are_said(
    since: bool,
    wanted: int,
    earliest: int,
    covered: list[tuple[int, int, int]],
    said: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    about = About(topic="l", topic_id="i", format="jsonl", since=parse_time("2026-11-01") if since else None)

    check_reach(about, Range(1, wanted, 100), earliest, [Range(*each) for each in covered])

    found = [(entry.message, entry.__dict__["fields"]) for entry in caplog.records]
    assert [f"{message}: {fields['exported_to']}" for message, fields in found] == (
        [f"labelled posts expired before they were {said}"] if said else []
    )
    assert all(fields["passed"] == earliest - fields["exported_to"] for _, fields in found)


@pytest.mark.parametrize(
    ("first", "lacking"), [([], None), (["language"], "language"), (["language", "text"], "text,language")]
)
def test_columns_that_readers_do_not_see_because_the_first_file_lacks_them_are_named(
    tmp_path: Path, first: list[str], lacking: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    whole = COLUMNS.empty_table()
    about = About(topic="l", topic_id="i", format="parquet", since=None)
    say_of_columns(tmp_path, about)
    pq.write_table(whole.drop_columns(first), tmp_path / "l-0-000000000000-000000000099.parquet")
    pq.write_table(whole, tmp_path / "l-0-000000000100-000000000199.parquet")

    say_of_columns(tmp_path, about)

    assert [entry.__dict__["fields"]["columns"] for entry in caplog.records] == ([lacking] if lacking else [])
    assert ("language" in pd.read_parquet(tmp_path)) == (lacking is None)


def of_vectors(offset: int, dimensions: int) -> Any:
    value = golden("encoded_post")["value"] | {"text": None, "descriptor": None, "dimensions": dimensions}
    vector = base64.b64encode(np.full(dimensions, dimensions**-0.5, "<f2").tobytes()).decode()
    return SimpleNamespace(
        topic="v", partition=1, offset=offset, timestamp=0, value=json.dumps(value | {"image": vector}).encode()
    )


def test_a_file_ends_where_vectors_of_another_length_begin(tmp_path: Path) -> None:
    """The offsets of the files cover the range all the same: the next run has nothing to do."""
    settings = load(ExportSettings, "x", ["-o", str(tmp_path), "--offsets-per-file", "100", "--vectors-topic", "v"])
    about = About(topic="v", topic_id="i", format="parquet", since=None, contents="vectors")
    polled = [of_vectors(5, 4), of_vectors(6, 4), of_vectors(7, 9)], [of_vectors(8, 9), of_vectors(9, 4)]
    stream = iter([(polled[0], 8), (polled[1], 12)])
    tally = Tally()

    fill(settings, about, Range(1, 3, 12), stream, tally, lambda offsets: None)

    files = files_of(tmp_path, "v", "parquet")
    assert sorted(files) == [Range(1, 3, 7), Range(1, 7, 9), Range(1, 9, 12)]
    assert [pq.read_table(files[each]).column("dimensions").to_pylist() for each in sorted(files)] == [
        [4, 4],
        [9, 9],
        [4],
    ]
    assert (tally.rows, tally.files, list(missing(Range(1, 3, 12), files))) == (5, 3, [])
