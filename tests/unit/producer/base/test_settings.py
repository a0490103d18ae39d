from pathlib import Path

import pytest

from producer.base.errors import UsageError
from producer.base.settings import KafkaSettings, TopicSettings, load


def settings(*argv: str) -> TopicSettings:
    return load(TopicSettings, "python -m x", argv)


def test_flags_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings().input_topic == "posts"
    monkeypatch.setenv("PLACESTREAM_INPUT_TOPIC", "from-environment")
    assert settings().input_topic == "from-environment"
    assert settings("--input-topic", "from-flag").input_topic == "from-flag"


@pytest.mark.parametrize(
    ("argv", "names"),
    [
        (["--startup-timeout", "0"], ["STARTUP_TIMEOUT"]),
        (["--startup-timeout", "soon"], ["STARTUP_TIMEOUT"]),
        (["--input-topic", ""], ["INPUT_TOPIC"]),
        (["--input-topic", "", "--startup-timeout", "-1"], ["INPUT_TOPIC", "STARTUP_TIMEOUT"]),
        (["--security-protocol", "TLS"], ["SECURITY_PROTOCOL"]),
        (["--input-topic", "labeled-posts"], ["INPUT_TOPIC", "OUTPUT_TOPIC", "DEAD_LETTER_TOPIC"]),
        (["--security-protocol", "SASL_SSL"], ["SASL_MECHANISM", "SASL_USERNAME", "SASL_PASSWORD"]),
        (["--sasl-username", "me"], ["SASL_", "SECURITY_PROTOCOL is PLAINTEXT"]),
        (["--ssl-cafile", "/nowhere.pem"], ["SSL_", "SECURITY_PROTOCOL is PLAINTEXT"]),
        (["--security-protocol", "SSL", "--ssl-cafile", "/nowhere.pem"], ["SSL_CAFILE /nowhere.pem is not a file"]),
    ],
)
def test_wrong_settings_are_named_in_one_line(argv: list[str], names: list[str]) -> None:
    with pytest.raises(UsageError) as refused:
        settings(*argv)
    message = str(refused.value)
    assert all(name in message for name in names), message
    assert "\n" not in message


def test_a_wrong_setting_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACESTREAM_STARTUP_TIMEOUT", "never")
    with pytest.raises(UsageError, match="^setting STARTUP_TIMEOUT: "):
        settings()


SASL = ("--security-protocol", "SASL_SSL", "--sasl-mechanism", "PLAIN", "--sasl-username", "me")


def test_a_variable_that_kubernetes_sets_for_a_service_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACESTREAM_STARTUP_TIMEOUT", "tcp://10.96.0.7:9101")
    with pytest.raises(UsageError, match="^setting STARTUP_TIMEOUT: .*; .* enableServiceLinks: false"):
        settings()


def test_secrets_are_given_to_the_client_and_printed_nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PLACESTREAM_SASL_PASSWORD", "hunter2")
    cafile = tmp_path / "ca.pem"
    cafile.touch()
    read = settings(*SASL, "--ssl-cafile", str(cafile), "--ssl-password", "hunter3")
    assert "hunter" not in repr(read) + str(read) + read.model_dump_json()
    options = read.kafka()
    assert (options["sasl_plain_password"], options["ssl_password"]) == ("hunter2", "hunter3")
    assert (options["sasl_mechanism"], options["ssl_cafile"]) == ("PLAIN", str(cafile))


def test_a_refused_setting_does_not_print_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACESTREAM_SASL_PASSWORD", "hunter2")
    with pytest.raises(UsageError) as refused:
        settings("--sasl-username", "me")
    assert "hunter2" not in str(refused.value)


def test_several_brokers_may_be_named() -> None:
    read = load(KafkaSettings, "python -m x", ["--bootstrap-servers", "a:1, b:2"])
    assert read.kafka()["bootstrap_servers"] == ["a:1", "b:2"]
