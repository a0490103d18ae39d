import pytest

from producer.base.errors import CommandError, UsageError
from producer.base.settings import load
from producer.topics import CreateSettings, Topic, _line, _wanted, check_outputs


def settings(*argv: str) -> CreateSettings:
    return load(CreateSettings, "python -m producer topics", argv)


def test_the_topics_are_made_for_their_content() -> None:
    posts, labels, dead_letters = _wanted(settings(), None)
    assert (posts.name, labels.name, dead_letters.name) == ("posts", "labeled-posts", "posts-dlt")
    assert {topic.partitions for topic in (posts, labels, dead_letters)} == {6}
    assert posts.config == {
        "cleanup.policy": "delete",
        "compression.type": "producer",
        "message.timestamp.type": "LogAppendTime",
        "retention.ms": "604800000",
        "max.message.bytes": "16777216",
    }
    assert labels.config["retention.ms"] == dead_letters.config["retention.ms"] == "-1"
    assert "message.timestamp.type" not in labels.config
    assert dead_letters.max_record_bytes == 16777216 + 65536


def test_the_topic_of_the_vectors_is_kept_like_the_labels_and_only_made_where_it_is_wanted() -> None:
    *_, labels, dead_letters, vectors = _wanted(settings("--vectors-topic", "post-vectors"), None)
    assert (vectors.name, vectors.partitions, vectors.config) == ("post-vectors", labels.partitions, labels.config)
    with pytest.raises(UsageError, match="OUTPUT_TOPIC, DEAD_LETTER_TOPIC and VECTORS_TOPIC must be different topics"):
        settings("--vectors-topic", dead_letters.name)


@pytest.mark.parametrize(("copies", "in_sync"), [(1, None), (2, None), (3, "2"), (5, "2")])
def test_three_copies_need_two_in_sync(copies: int, in_sync: str | None) -> None:
    for topic in _wanted(settings("--replication-factor", str(copies)), None):
        assert topic.replication_factor == copies
        assert topic.config.get("min.insync.replicas") == in_sync


def test_outputs_follow_an_input_topic_that_is_there() -> None:
    _, labels, dead_letters = _wanted(settings(), Topic("posts", 12, 1, {"max.message.bytes": "20000000"}))
    assert (labels.partitions, dead_letters.partitions) == (12, 12)
    assert dead_letters.max_record_bytes == 20000000 + 65536


@pytest.mark.parametrize(
    ("labels", "dead_letters", "complaint"),
    [
        (Topic("labels", 3, 1), Topic("dead", 6, 1), "topic labels has 3 partitions, posts 6"),
        (Topic("labels", 6, 1), Topic("dead", 5, 1), "topic dead has 5 partitions, posts 6"),
        (
            Topic("labels", 6, 1, {"max.message.bytes": "5000"}),
            Topic("dead", 6, 1),
            "topic labels takes records of 5000",
        ),
        (
            Topic("labels", 6, 1),
            Topic("dead", 6, 1, {"max.message.bytes": "66535"}),
            "topic dead takes records of 66535",
        ),
    ],
)
def test_an_output_that_does_not_fit_is_said(labels: Topic, dead_letters: Topic, complaint: str) -> None:
    posts = Topic("posts", 6, 1, {"max.message.bytes": "1000"})
    with pytest.raises(CommandError, match=complaint):
        check_outputs(posts, dead_letters, [labels])


def test_outputs_that_fit_are_fine() -> None:
    posts = Topic("posts", 6, 1, {"max.message.bytes": "1000"})
    check_outputs(posts, Topic("dead", 6, 1, {"max.message.bytes": "66536"}), [Topic("labels", 9, 3)])


def test_an_existing_topic_says_how_it_differs() -> None:
    wanted = Topic("posts", 6, 3, {"retention.ms": "1", "max.message.bytes": "2"})
    assert _line(wanted, wanted, created=False) == "posts: exists"
    found = Topic("posts", 3, 1, {"retention.ms": "5", "max.message.bytes": "2", "other": "x"})
    assert _line(wanted, found, created=False) == (
        "posts: exists; it differs: 3 partitions instead of 6, 1 replicas instead of 3, retention.ms=5 instead of 1"
    )


@pytest.mark.parametrize("argv", [["--partitions", "0"], ["--replication-factor", "0"], ["--max-request-size", "1"]])
def test_wrong_settings_are_wrong_usage(argv: list[str]) -> None:
    with pytest.raises(UsageError):
        settings(*argv)
