"""The evaluation of a live stream, from its vectors alone: what `label` published follows from what was exported."""

import csv
from pathlib import Path

import numpy as np
import pytest
from kafka import KafkaAdminClient, TopicPartition

from consumer.__main__ import COMMANDS
from consumer.classify.decision import Decision
from consumer.classify.factory import HeadOf
from consumer.classify.head import Head
from consumer.classify.places import Places
from consumer.evaluate.marks.gallery import shown
from consumer.evaluate.scores import score
from consumer.evaluate.scores.decide import CONDITIONAL, decide
from consumer.evaluate.scores.folder import Scores
from consumer.labeled_post import LabeledPost
from deploy.local.stack import Stack
from producer.base.command import run
from producer.base.errors import CommandError
from tests.conftest import MakeTopics, RunCli, Topics
from tests.integration.consumer.label.conftest import label
from tests.light import COLOURS, PLACES, LightEncoder
from tests.wire import picture, read_all, write

POSTS = 12
NASTY = "../../nasty"
UNSURE = "#b4a088"
"""Rather red than green: no rounding makes it another place."""


@pytest.fixture
def topics(stack: Stack, make_topics: MakeTopics, run_cli: RunCli) -> Topics:
    """Posts labelled with their vectors: sure ones, unsure ones with and without a caption, and a picture twice."""
    topics = make_topics(vectors=True)
    records = [
        (
            (f"p{number}" if number else NASTY).encode(),
            picture(("red", UNSURE, UNSURE)[number % 3]),
            [("city", b"london")] + ([("caption", b"so blue")] if number % 3 < 2 else []),
        )
        for number in range(POSTS)
    ]
    write(stack, topics.input, [*records, (b"p1", picture("green"), [("city", b"paris")])])
    label(run_cli, topics)
    return topics


def command(stack: Stack, *flags: str) -> int:
    return run("python -m consumer", COMMANDS, [flags[0], f"--bootstrap-servers={stack.broker.address}", *flags[1:]])


def light_head(_: object) -> HeadOf:
    """What `build_head` gives of the light encoder."""
    encoder = LightEncoder()
    vectors = PLACES.vectors(encoder, encoder.default_templates)
    head = Head(COLOURS, vectors, 8, 8, Decision(threshold=encoder.default_threshold))
    return HeadOf(head, encoder.identity, PLACES.stamp(encoder.default_templates))


def test_labels_follow_from_an_export_and_its_pictures_come_from_the_topic(
    stack: Stack,
    topics: Topics,
    admin: KafkaAdminClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(score, "build_head", light_head)
    monkeypatch.setattr(Places, "load", lambda path: PLACES)
    exported, scores, pictures = (tmp_path / name for name in ("vectors", "scores", "pictures"))
    assert command(stack, "export", "-o", str(exported), "--vectors-topic", str(topics.vectors)) == 0

    assert score.main([str(exported), "-o", str(scores)]) == 0

    opened = Scores.open(scores)
    published = sorted(read_all(stack, topics.output), key=lambda each: (each.partition, each.offset), reverse=True)
    first = {post.post_id: post for post in map(LabeledPost.from_record, published)}
    part = opened.of(list(first))
    decided = decide(CONDITIONAL, part, opened.info)
    assert "1 entries have the id of an earlier one" in capsys.readouterr().err
    assert (len(first), opened.info.posts, opened.info.encoder) == (POSTS, POSTS, "light")
    assert [COLOURS[each] for each in decided.label] == [post.top[0][0] for post in first.values()]
    assert decided.confidence == pytest.approx([post.confidence for post in first.values()], abs=2e-3)
    assert decided.by_image.tolist() == [post.decided_by == "image" for post in first.values()]
    assert np.flatnonzero(part.has_caption & ~part.has_text).size >= POSTS / 3 - 1, "the sure posts' captions"

    with (tmp_path / "posts.csv").open("w") as file:
        csv.writer(file).writerows([["post_id"], [NASTY], ["p3"], ["p2"]])
    with pytest.raises(CommandError, match="is an export, which has no pictures: `python -m consumer pictures"):
        next(shown(exported, ["p2"], 100))
    assert command(stack, "pictures", str(exported), str(tmp_path / "posts.csv"), "-o", str(pictures)) == 0
    found = {each.post_id: each.caption for each in shown(pictures / "posts.csv", [NASTY, "p2", "p3"], 100)}
    assert found == {NASTY: "so blue", "p2": None, "p3": "so blue"}
    assert {path.name for path in pictures.iterdir()} == {"00001", "00002", "00003", "posts.csv"}

    admin.delete_records({TopicPartition(topics.input, partition): -1 for partition in range(topics.partitions)})
    assert command(stack, "pictures", str(exported), str(tmp_path / "posts.csv"), "-o", str(pictures)) == 1
    assert "none of the 3 posts is in its topic any more: give a dataset to --dataset" in capsys.readouterr().err
