"""Two topics compared: what a challenger changed."""

import json

from deploy.local.stack import Stack
from tests.conftest import MakeTopics, RunCli
from tests.integration.consumer.label.conftest import ONCE, label
from tests.wire import post, write


def test_a_challenger_is_compared_with_the_live_labels(stack: Stack, make_topics: MakeTopics, run_cli: RunCli) -> None:
    topics = make_topics(vectors=True)
    write(stack, topics.input, [post(str(number), ("red", (90, 100, 90))[number % 2]) for number in range(20)])
    label(run_cli, topics)
    challenger = f"{topics.output}-again"
    flags = ("--output-topic", challenger, "--dead-letter-topic", f"{challenger}-dlt", "--threshold", "0.9")
    assert run_cli("tests.relight", *ONCE, *flags, env=topics.environment).returncode == 0

    found = run_cli("consumer", "diff", topics.output, challenger, "--json")
    nowhere = run_cli("consumer", "diff", topics.output, "nowhere")

    assert found.returncode == 0, found.stderr
    said = json.loads(found.stdout)
    assert said["both"] == {"posts": 20, "equal": 10, "share": 0.5}
    assert [(each["before"], each["after"], each["posts"]) for each in said["changes"]] == [("green", None, 10)]
    assert nowhere.returncode == 1
    assert "nowhere is no folder, and no topic at" in nowhere.stderr
