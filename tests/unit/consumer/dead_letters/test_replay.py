from typing import Any

import pytest

from consumer.dead_letter import ATTEMPTS, LEFT_OUT, DeadLetter, LeftOut, to_record
from consumer.dead_letters import receipts
from consumer.dead_letters.replay import ReplaySettings, returning, whole, why_not
from tests.unit.consumer.dead_letters.letters import dead
from tests.unit.consumer.label.records import Record


def settings(**changed: Any) -> ReplaySettings:
    return ReplaySettings.model_validate(changed)


def test_key_value_and_headers_go_back_as_they_are_with_the_attempts() -> None:
    record = dead(headers=[("city", b"london"), ("x", b"1"), ("x", b"\xff")])
    back = returning(record, partitions=4)

    assert (back.key, back.value, back.partition) == (record.key, record.value, 3)
    assert back.headers == [*record.headers, (ATTEMPTS, b"1")]


def test_attempts_that_are_there_stay() -> None:
    record = dead()
    record.headers.append((ATTEMPTS, b"2"))

    assert returning(record, partitions=4).headers == record.headers


def test_a_partition_that_the_topic_does_not_have_leaves_it_to_the_key() -> None:
    assert returning(dead(), partitions=3).partition is None


def test_what_kafka_python_cannot_send_becomes_empty() -> None:
    back = returning(Record("posts-dlt", 0, 0, None, None, [("x", None)]), partitions=1)

    assert (back.value, back.headers) == (b"", [("x", b""), (ATTEMPTS, b"1")])


def test_what_is_left_out_comes_from_the_original_and_what_was_wrong_from_the_letter() -> None:
    earlier = dead(headers=[("city", b"london"), ("n", None)])
    original = Record("posts", 3, 99, b"k" * 5000, b"v" * 100, earlier.headers)
    left_out = DeadLetter.without(LeftOut.everything(original, "too large"))
    key, value, headers = to_record(original, left_out, "placestream", "id")
    letter = Record("posts-dlt", 3, 1, key, value, headers)

    back = whole(returning(letter, partitions=4), original)

    assert (back.key, back.value, back.partition) == (original.key, original.value, 3)
    assert back.headers[:2] == [("city", b"london"), ("n", b"")]
    said = dict(back.headers)
    assert len(said) == len(back.headers)
    assert said.keys() == dict(headers).keys() - set(LEFT_OUT.values()) | {"city", "n"}
    assert (said["__connect.errors.offset"], said["placestream-attempts"]) == (b"4711", b"2")
    assert (said["placestream-reason"], said["placestream-source"]) == (
        b"record_too_large",
        b"/placestream/placestream/posts/3/99",
    )
    assert back.size > 5100


def test_three_attempts_are_enough_unless_forced() -> None:
    record = dead()
    record.headers.append((ATTEMPTS, b"3"))
    back = returning(record, partitions=4)

    assert "failed 3 times" in str(why_not(settings(), back, None, replayed=False))
    assert why_not(settings(force=True), back, None, replayed=False) is None
    assert why_not(settings(force=True), back, None, replayed=True) == "replayed before"


def test_a_record_must_fit_its_topic_with_all_its_headers() -> None:
    back = returning(dead(value=b"x" * 1000), partitions=4)

    assert why_not(settings(), back, back.size, replayed=False) is None
    assert "too large" in str(why_not(settings(), back, back.size - 1, replayed=False))


@pytest.mark.parametrize("topic", ["posts", "elsewhere"])
def test_a_dead_letter_goes_back_to_its_own_topic_only(topic: str) -> None:
    passed_over = why_not(settings(input_topic=topic), returning(dead(), partitions=4), None, replayed=False)

    assert (passed_over is None) == (topic == "posts")


def test_a_receipt_is_read_as_it_was_written() -> None:
    receipt = receipts.Receipt(topic_id="id", partition=3, offset=4711)

    key, value = receipt.to_record()
    assert key == b"id/3/4711"
    assert value == b'{"topic_id":"id","partition":3,"offset":4711}'
    assert receipts.Receipt.model_validate_json(value) == receipt
