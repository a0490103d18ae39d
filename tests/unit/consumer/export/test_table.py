import json
from collections.abc import Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from consumer.encoded_post import EncodedPost
from consumer.export.table import COLUMNS, to_row, to_vectors_row, vectors_columns
from consumer.labeled_post import LabeledPost
from consumer.vector_table import to_batch
from tests.labels import golden, labeled

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

    assert to_batch(rows, COLUMNS).to_pylist() == [
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


def encoded_record(**changes: Any) -> Any:
    return record(json.dumps(golden("encoded_post")["value"] | changes).encode())


def test_every_field_of_an_encoded_post_has_a_column_and_its_source_has_three() -> None:
    row = to_vectors_row(encoded_record())
    fields = [field for field in EncodedPost.model_fields if field not in ("source", "encoded_at")]
    of_source = ["source_topic", "source_partition", "source_offset"]

    assert list(row) == vectors_columns(row).names
    assert list(row) == ["topic", "partition", "offset", "record_time", *fields, *of_source, "encoded_at"]
    assert [row[name] for name in of_source] == ["posts", 3, 4711]
    assert (row["partition"], row["offset"], row["caption"]) == (3, 17, True)


def test_vectors_come_back_as_they_were_in_the_topic_and_what_was_not_encoded_is_null() -> None:
    rows = [to_vectors_row(encoded_record(**changes)) for changes in ({}, {"text": None, "descriptor": None})]
    whole, bare = to_batch(rows, vectors_columns(rows[0])).to_pylist()

    post = EncodedPost.from_record(encoded_record())
    assert post.text is not None
    assert post.descriptor is not None
    for name, vector in (("image", post.image), ("text", post.text), ("descriptor", post.descriptor)):
        assert whole[name] == [float(number) for number in np.asarray(vector)]
    assert bare == whole | {"text": None, "descriptor": None}
    assert str(vectors_columns(rows[0]).field("descriptor").type) == "fixed_size_list<item: halffloat>[3]"


@pytest.mark.parametrize("changes", [{"image": "AAAA"}, {"source": {"topic": "x", "partition": 0, "offset": 2**63}}])
def test_what_is_no_encoded_post_is_a_value_error(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="."):
        to_vectors_row(encoded_record(**changes))
