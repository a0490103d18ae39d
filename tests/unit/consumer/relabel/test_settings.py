"""The settings of `relabel`: its input is the vectors topic, and its outputs are nobody else's by accident."""

import pytest

from consumer.relabel.settings import RelabelSettings
from producer.base.errors import UsageError
from producer.base.settings import load

TOPICS = ["--vectors-topic", "post-vectors", "--output-topic", "labeled-ten"]


def test_the_vectors_topic_is_the_input_and_dead_letters_lie_beside_the_output() -> None:
    settings = load(RelabelSettings, "relabel", TOPICS)

    topics = settings.input_topic, settings.output_topic, settings.dead_letter_topic
    assert topics == ("post-vectors", "labeled-ten", "labeled-ten-dlt")
    assert settings.vectors_output is None


def test_variables_of_label_do_not_name_its_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACESTREAM_INPUT_TOPIC", "posts")
    monkeypatch.setenv("PLACESTREAM_VECTORS_TOPIC", "kept")

    assert load(RelabelSettings, "relabel", TOPICS[2:]).input_topic == "kept"


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        ([], "setting VECTORS_TOPIC: Field required; setting OUTPUT_TOPIC: Field required"),
        (
            [*TOPICS[:2], "--output-topic", "post-vectors"],
            "VECTORS_TOPIC, OUTPUT_TOPIC and DEAD_LETTER_TOPIC must be different topics",
        ),
        ([*TOPICS, "--since", "2026-11-02", "--until", "2026-11-02"], "SINCE must be before UNTIL"),
        ([*TOPICS, "--until", "soon"], "setting UNTIL: must be an ISO 8601 time"),
        ([*TOPICS, "--batch-size", "5000"], r"BREAKER_CONSECUTIVE \(2000\) must be larger than BATCH_SIZE \(5000\)"),
    ],
)
def test_a_wrong_setting_is_one_line_with_the_name_that_the_user_knows(flags: list[str], line: str) -> None:
    with pytest.raises(UsageError, match=line):
        load(RelabelSettings, "relabel", flags)
