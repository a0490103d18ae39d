"""Labels made of vectors: the model's own where the settings are, others where they are not, and each once."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, OffsetAndMetadata, TopicPartition

from consumer.dead_letter import REASON
from consumer.labeled_post import LabeledPost
from deploy.local.stack import Stack
from producer.topics import describe
from tests.conftest import RunCli
from tests.integration.consumer.label.conftest import label
from tests.integration.consumer.relabel.conftest import Again, posts
from tests.wire import read_all, recreate, write

ALL = {str(number) for number in range(40)}


def first_labels(stack: Stack, again: Again) -> dict[str, LabeledPost]:
    records = read_all(stack, again.topics.output)
    return {record.key.decode(): LabeledPost.from_record(record) for record in records}


def test_the_same_settings_give_the_same_labels_on_the_same_partitions(
    stack: Stack, again: Again, run_cli: RunCli, admin: KafkaAdminClient
) -> None:
    again.run(run_cli)

    first, second = first_labels(stack, again), again.labels(stack)
    assert second.keys() == first.keys()
    measured: Any = {"confidence": True, "top": True, "image": True, "text": True, "labeled_at": True}
    measured |= {"broader": {"confidence"}}
    for post_id, after in second.items():
        before = first[post_id]
        assert after.model_dump(exclude=measured) == before.model_dump(exclude=measured)
        assert abs(after.confidence - before.confidence) < 2e-3
        if after.broader and before.broader:
            assert abs(after.broader.confidence - before.broader.confidence) < 2e-3
    assert any(post.broader for post in second.values())
    vectors = {(each.partition, each.offset): each for each in read_all(stack, again.vectors)}
    for record in read_all(stack, again.output):
        headers = {name: value.decode() for name, value in record.headers}
        topic, partition, offset = headers["ce_id"].split("/")
        source = vectors[int(partition), int(offset)]
        assert (topic, int(partition), source.key) == (again.vectors, record.partition, record.key)
    assert describe(admin, [again.output])[again.output].config["retention.ms"] == "-1"


def test_other_places_and_another_decision_give_other_labels(
    stack: Stack, again: Again, run_cli: RunCli, tmp_path: Path
) -> None:
    places = tmp_path / "meadows.csv"
    places.write_text("category,wording\nmeadow,green\nlake,blue\n")

    again.run(run_cli, "--places", str(places), "--threshold", "0", "--ensemble", "only-image")

    labels = again.labels(stack)
    assert labels.keys() == ALL
    assert {each.place for each in labels.values()} == {"meadow", "lake"}
    assert {each.decided_by for each in labels.values()} == {"image"}
    assert {each.places.partition("@")[0] for each in labels.values()} == {"meadows"}


def test_a_caption_that_would_count_and_was_not_encoded_is_counted_and_the_picture_decides(
    stack: Stack, again: Again, run_cli: RunCli
) -> None:
    said = again.run(run_cli, "--ensemble", "ensemble")

    first, labels = first_labels(stack, again), again.labels(stack)
    sure = {post_id for post_id in ALL if int(post_id) % 5 == 0}  # red, with a caption
    assert {post_id for post_id in sure if first[post_id].decided_by == "image"} == sure
    assert {labels[post_id].decided_by for post_id in sure} == {"image"}
    assert f"the pictures decided (ENCODE_CAPTIONS=all keeps them) posts={len(sure)}" in said
    assert "captions would have counted" not in again.run(run_cli, "--ensemble", "only-image", output="another")


def test_only_vectors_of_a_range_are_labelled(stack: Stack, again: Again, run_cli: RunCli) -> None:
    middle = datetime.fromtimestamp(1 + max(each.timestamp for each in read_all(stack, again.vectors)) // 1000, UTC)
    time.sleep(max(0.0, middle.timestamp() - time.time()))
    write(stack, again.topics.input, posts(60)[40:])
    label(run_cli, again.topics)
    since, until = ("--since", middle.isoformat()), ("--until", middle.isoformat())

    again.run(run_cli, *since)
    again.run(run_cli, *until, output="before")
    again.run(run_cli, "--since", (middle + timedelta(days=1)).isoformat(), output="none")

    assert again.labels(stack).keys() == {str(number) for number in range(40, 60)}
    assert again.labels(stack, "before").keys() == ALL
    assert again.labels(stack, "none") == {}


def test_what_is_no_vector_of_this_encoder_is_a_dead_letter_that_no_replay_takes(
    stack: Stack, again: Again, run_cli: RunCli
) -> None:
    record = read_all(stack, again.vectors)[0]
    other = json.loads(record.value) | {"encoder": "light+icc"}, json.loads(record.value) | {"encoder": "lightning"}
    values = [*(json.dumps(each).encode() for each in other), b"{}", None]
    write(stack, again.vectors, [(f"bad-{number}".encode(), value, []) for number, value in enumerate(values)])

    again.run(run_cli)
    replay = ("--dead-letter-topic", again.dead_letter, "--input-topic", again.vectors)
    back = run_cli("consumer", "dead-letters", "replay", *replay, "--reason", "other_encoder")

    dead = {each.key.decode(): dict(each.headers)[REASON].decode() for each in read_all(stack, again.dead_letter)}
    assert dead == {"bad-1": "other_encoder", "bad-2": "bad_record", "bad-3": "bad_record"}
    assert "replayed 0 dead letters" in back.stdout
    assert "passed over 1: vectors of another encoder" in back.stdout


def test_the_same_run_goes_on_and_another_one_needs_another_topic(
    stack: Stack, again: Again, run_cli: RunCli, admin: KafkaAdminClient
) -> None:
    again.run(run_cli)
    write(stack, again.topics.input, posts(60)[40:])
    label(run_cli, again.topics)

    again.run(run_cli)
    refused = again.run(run_cli, "--threshold", "0.9", code=1)
    live = again.run(run_cli, output=again.topics.output, code=1)

    assert again.labels(stack).keys() == {str(number) for number in range(60)}
    assert refused.strip().splitlines()[-1].startswith(f"light: topic {again.output} holds what group")
    assert f"topic {again.topics.output} holds what group {again.topics.input} has written, not this run" in live
    recreate(admin, again.output)
    again.run(run_cli)
    assert len(again.labels(stack)) == 60, "an output that was deleted is filled anew"


@pytest.mark.parametrize("record", [(b"key", b"value", []), (b"key", b"value", [("ce_source", b"/elsewhere")])])
def test_a_topic_of_another_program_is_refused(stack: Stack, again: Again, run_cli: RunCli, record: object) -> None:
    again.run(run_cli)
    write(stack, again.output, [record])  # type: ignore[list-item]

    assert f"topic {again.output} holds what another program has written" in again.run(run_cli, code=1)


def test_what_a_broker_forgot_is_not_labelled_twice(
    stack: Stack, again: Again, run_cli: RunCli, admin: KafkaAdminClient
) -> None:
    again.run(run_cli)
    groups = (each["group_id"] for each in admin.list_groups())
    (group,) = (each for each in groups if each.startswith(f"{again.topics.input}-relabel-"))
    first, second = (TopicPartition(again.vectors, number) for number in (0, 1))
    committed = admin.list_group_offsets(group)[group][first]
    admin.alter_group_offsets(group, {first: OffsetAndMetadata(3, committed.metadata, -1)})
    admin.delete_group_offsets(group, [second])

    said = again.run(run_cli)

    assert again.labels(stack).keys() == ALL
    assert said.count("the committed offset went back: going on after what came out") == 2


def test_without_vectors_topic_or_output_topic_it_is_one_line(again: Again, run_cli: RunCli) -> None:
    environment = again.topics.environment
    missing = run_cli("consumer", "relabel", env={each: environment[each] for each in ("PLACESTREAM_GROUP_ID",)})
    same = run_cli("consumer", "relabel", "--output-topic", again.vectors, env=environment)
    nowhere = again.run(run_cli, "--vectors-topic", "nowhere", code=1)

    assert missing.returncode == same.returncode == 2
    assert "setting VECTORS_TOPIC: Field required; setting OUTPUT_TOPIC: Field required" in missing.stderr
    assert "VECTORS_TOPIC, OUTPUT_TOPIC and DEAD_LETTER_TOPIC must be different topics" in same.stderr
    assert "topic nowhere does not exist" in nowhere
