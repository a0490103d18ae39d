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
    def flags(self) -> tuple[str, ...]:
        return "--output-topic", self.output, "--dead-letter-topic", self.dead_letter, "--metrics-port", "0"

    def run(self, run_cli: RunCli, *flags: str, code: int = 0) -> str:
        """Relabel to the end; what it wrote."""
        ended = run_cli("tests.relight", *ONCE, *self.flags, *flags, env=self.topics.environment)
        assert ended.returncode == code, ended.stderr
        assert "Traceback" not in ended.stderr
        return ended.stderr

    def labels(self, stack: Stack) -> dict[str, LabeledPost]:
        """By post; each came out once."""
        records = read_all(stack, self.output)
        found = {record.key.decode(): LabeledPost.from_record(record) for record in records}
        assert len(found) == len(records), "a post came out twice"
        return found


def posts(number: int) -> list[Any]:
    """Posts of every kind: sure ones, unsure ones with a caption and without."""
    kinds = [("red", "so blue"), (GREY, "a green place"), (GREY, None), ("blue", None), (GREY, "nothing to see")]
    return [post(str(each), *kinds[each % len(kinds)]) for each in range(number)]


@pytest.fixture
def topics(make_topics: MakeTopics) -> Topics:
    return make_topics(vectors=True)


@pytest.fixture
def again(stack: Stack, topics: Topics, run_cli: RunCli) -> Again:
    """Forty posts are labelled, their vectors kept as `needed` does."""
    write(stack, topics.input, posts(40))
    label(run_cli, topics)
    return Again(topics, f"{topics.output}-again")
