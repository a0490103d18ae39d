"""What `dead-letters` says of wrong usage: one line, the right exit code, no traceback."""

import pytest

from consumer.dead_letters.commands import main

pytestmark = pytest.mark.usefixtures("as_before")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["replay", "--reason", "bad"],
            "setting REASON: there is no reason 'bad'; there are bad_record, record_too_large",
        ),
        (["replay", "--ids", " , "], "setting IDS"),
        (["replay", "--input-topic", "posts-dlt"], "must be different topics"),
        (["list", "--limit", "0"], "setting LIMIT"),
        (["list", "--nonsense"], "--nonsense"),
        (["show"], "required: ID"),
        (["remove"], "unknown command 'remove'"),
        ([], "usage: python -m consumer dead-letters COMMAND"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_connected(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kafka.KafkaAdminClient.__init__", lambda *_, **__: pytest.fail("it connects"))

    assert main(arguments) == 2
    assert line in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["list"], ["show", "17"], ["replay"]])
def test_without_a_broker_it_says_so_in_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--bootstrap-servers", "127.0.0.1:1", "--startup-timeout", "0.3", "--log-level", "error"]

    assert main([*arguments, *flags]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"python -m consumer dead-letters {arguments[0]}: no Kafka broker answers at 127.0.0.1:1")
    assert error.count("\n") == 1
