"""The vectors topic: one record for each labelled post, in the label's transaction, and nothing else is changed."""

import json
from typing import Any

import pytest
from kafka import KafkaAdminClient

from consumer.encoded_post import EncodedPost
from consumer.labeled_post import LabeledPost
from deploy.local.stack import Stack
from tests.conftest import MakeTopics, RunCli, Topics
from tests.integration.consumer.label.conftest import ONCE, label
from tests.wire import picture, read_all, write

CAPTION = [("caption", b"so blue")]


@pytest.fixture
def topics(stack: Stack, make_topics: MakeTopics) -> Topics:
    topics = make_topics(vectors=True)
    city: list[tuple[str, Any]] = [("city", b"london")]
    posts = [
        ("sure", picture("red"), [*city, *CAPTION]),
        ("unsure", picture("grey"), [*city, *CAPTION]),
        ("silent", picture("grey"), city),
        ("broken", b"no picture", city),
    ]
    write(stack, topics.input, [(post_id.encode(), value, headers) for post_id, value, headers in posts])
    return topics


def by_id(records: list[Any]) -> dict[str, Any]:
    return {record.key.decode(): record for record in records}


@pytest.mark.parametrize(("captions", "encoded"), [("needed", {"unsure"}), ("all", {"sure", "unsure"})])
def test_each_labelled_post_has_its_vectors_once_and_dead_ones_have_none(
    stack: Stack, topics: Topics, run_cli: RunCli, captions: str, encoded: set[str]
) -> None:
    label(run_cli, topics, "--encode-captions", captions)

    assert topics.vectors is not None
    labels, vectors = by_id(read_all(stack, topics.output)), by_id(read_all(stack, topics.vectors))
    assert labels.keys() == vectors.keys() == {"sure", "unsure", "silent"}
    posts = {post_id: EncodedPost.from_record(record) for post_id, record in vectors.items()}
    assert {post_id for post_id, post in posts.items() if post.text is not None} == encoded
    assert {post_id for post_id, post in posts.items() if post.caption} == {"sure", "unsure"}
    for post_id, record in labels.items():
        labeled, post = LabeledPost.from_record(record), posts[post_id]
        assert (post.source, post.sentiment, post.encoder) == (labeled.source, labeled.sentiment, labeled.encoder)
        assert vectors[post_id].partition == record.partition
        headers = [dict(each.headers) for each in (record, vectors[post_id])]
        assert headers[0]["ce_id"] == headers[1]["ce_id"]
        assert (labeled.text is not None) == (post_id == "unsure"), "the label does not say what was not needed"


def test_a_topic_that_is_not_there_or_does_not_fit_is_one_line(
    topics: Topics, make_topics: MakeTopics, run_cli: RunCli, admin: KafkaAdminClient
) -> None:
    narrow = make_topics(1, vectors=True).vectors
    for name, says in (("nowhere", "topic nowhere does not exist"), (narrow, f"topic {narrow} has 1 partitions")):
        ended = run_cli("tests.light", *ONCE, "--vectors-topic", str(name), env=topics.environment)
        assert ended.returncode == 1
        assert says in ended.stderr
    ended = run_cli("tests.light", *ONCE, "--vectors-topic", topics.output, env=topics.environment)
    assert (ended.returncode, "must be different topics" in ended.stderr) == (2, True)
    assert json.dumps(ended.stderr).count("\\n") == 1
