"""What tests of `relabel` share: posts that were labelled with their vectors kept, and labels made of those."""

from dataclasses import dataclass
from typing import Any

import pytest

from consumer.labeled_post import LabeledPost
from deploy.local.stack import Stack
from tests.conftest import MakeTopics, RunCli, Topics
from tests.integration.consumer.label.conftest import ONCE, label
from tests.wire import post, read_all, write

GREY = (90, 100, 90)
"""Of no colour that the light encoder is sure of."""


@dataclass(frozen=True, slots=True)
class Again:
    """A place for one run's labels."""

    topics: Topics
    output: str

    @property
    def dead_letter(self) -> str:
        return f"{self.output}-dlt"

    @property
    def vectors(self) -> str:
        assert self.topics.vectors is not None
        return self.topics.vectors

    def run(self, run_cli: RunCli, *flags: str, output: str = "", code: int = 0) -> str:
        """Relabel to the end, into another output if one is named; what it wrote."""
        topic = self._topic(output)
        topics = ("--output-topic", topic, "--dead-letter-topic", f"{topic}-dlt")
        ended = run_cli("tests.relight", *ONCE, *topics, *flags, env=self.topics.environment)
        assert ended.returncode == code, ended.stderr
        assert "Traceback" not in ended.stderr
        return ended.stderr

    def labels(self, stack: Stack, output: str = "") -> dict[str, LabeledPost]:
        """By post; each came out once."""
        records = read_all(stack, self._topic(output))
        found = {record.key.decode(): LabeledPost.from_record(record) for record in records}
        assert len(found) == len(records), "a post came out twice"
        return found

    def _topic(self, output: str) -> str:
        if output == self.topics.output:
            return output
        return f"{self.output}-{output}" if output else self.output


def posts(number: int) -> list[Any]:
    """Posts of every kind: sure ones, unsure ones with a caption and without."""
    pictures: tuple[Any, ...] = ("red", GREY, GREY, "blue", GREY)
    captions = ("so blue", "a green place", None, None, "nothing to see")
    return [post(str(each), pictures[each % 5], captions[each % 5]) for each in range(number)]


@pytest.fixture
def topics(make_topics: MakeTopics) -> Topics:
    return make_topics(vectors=True)


@pytest.fixture
def again(stack: Stack, topics: Topics, run_cli: RunCli) -> Again:
    """Forty posts are labelled, their vectors kept as `needed` does."""
    write(stack, topics.input, posts(40))
    label(run_cli, topics)
    return Again(topics, f"{topics.output}-again")
