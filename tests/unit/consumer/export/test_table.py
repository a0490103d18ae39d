from collections.abc import Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from consumer.export.table import COLUMNS, to_row
from consumer.labeled_post import LabeledPost
from tests.labels import labeled

WRITTEN = 1_764_000_000_123


def record(value: bytes | None, timestamp: int = WRITTEN) -> Any:
    return SimpleNamespace(topic="labeled-posts", partition=3, offset=17, timestamp=timestamp, value=value)


def changed(changes: Mapping[str, str]) -> bytes:
    value = labeled().to_value().decode()
    for old, new in changes.items():
        assert old in value
        value = value.replace(old, new)
    return value.encode()


def test_every_field_of_a_labelled_post_has_a_column_after_the_record_s_own() -> None:
    assert COLUMNS.names == ["topic", "partition", "offset", "record_time", *LabeledPost.model_fields]


def test_a_row_has_the_record_s_coordinates_and_the_post_s_fields() -> None:
    row = to_row(record(labeled(place=None).to_value()))

    assert list(row) == COLUMNS.names
    assert (row["topic"], row["partition"], row["offset"]) == ("labeled-posts", 3, 17)
    assert row["record_time"] == datetime.fromtimestamp(WRITTEN / 1000, UTC)
    assert row["city"] == "newyork"
    assert row["place"] is None
    assert row["top"][:2] == [{"place": "bridge", "confidence": 0.83}, {"place": "viaduct", "confidence": 0.06}]
    assert row["image"]["top"] == row["top"]
    assert row["text"] is None
    assert row["created_at"] == datetime(2017, 3, 29, 2, 30, 13, 147_000, UTC)
    assert row["source"] == {"topic": "posts", "partition": 3, "offset": 4711}


def test_rows_fit_the_columns_and_come_back() -> None:
    with_text = labeled(text={"place": "coast", "confidence": 0.5, "top": [["coast", 0.5]]}, created_at=None)
    rows = [to_row(record(post.to_value())) for post in (labeled(), with_text)]

    assert pa.RecordBatch.from_pylist(rows, schema=COLUMNS).to_pylist() == [
        row | {"decision": row["decision"] | {"weights": list(row["decision"]["weights"])}} for row in rows
    ]


def test_a_field_that_a_newer_worker_added_does_no_harm() -> None:
    assert list(to_row(record(changed({'"city"': '"mood": "blue", "city"'})))) == COLUMNS.names


@pytest.mark.parametrize("value", [None, b"", b"{}", b"[]", b"\xff", changed({'"offset":4711': f'"offset":{2**63}'})])
def test_what_is_no_labelled_post_is_a_value_error(value: bytes | None) -> None:
    with pytest.raises(ValueError, match="."):
        to_row(record(value))


@pytest.mark.parametrize("timestamp", [-1, 10**17])
def test_a_record_time_that_is_none_is_null(timestamp: int) -> None:
    assert to_row(record(labeled().to_value(), timestamp))["record_time"] is None
