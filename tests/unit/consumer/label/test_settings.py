import pytest

from consumer.label.settings import LabelSettings
from producer.base.errors import UsageError
from producer.base.settings import load


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        (("--batch-size", "0"), "BATCH_SIZE"),
        (("--batch-deadline", "-1"), "BATCH_DEADLINE"),
        (("--gate", "1.5"), "GATE"),
        (("--weights", "0,0"), "WEIGHTS"),
        (("--threshold", "high"), "THRESHOLD"),
        (("--encoder", "magic"), "ENCODER"),
        (("--breaker-consecutive", "32"), "BREAKER_CONSECUTIVE"),
        (("--security-protocol", "SASL_SSL"), "SASL_MECHANISM"),
        (("--sasl-username", "me"), "SECURITY_PROTOCOL"),
        (("--output-topic", "posts"), "OUTPUT_TOPIC"),
        (("--metrics-port", "70000"), "METRICS_PORT"),
        (("--device", "toaster"), "DEVICE"),
        (("--no-such-flag",), "--no-such-flag"),
        (("--batch-size",), "--batch-size"),
    ],
)
def test_a_nonsense_setting_is_one_line_that_names_it(flags: tuple[str, ...], names: str) -> None:
    with pytest.raises(UsageError) as wrong:
        load(LabelSettings, "label", flags)

    assert names in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_flags_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACESTREAM_BATCH_SIZE", "7")
    monkeypatch.setenv("PLACESTREAM_GROUP_ID", "env")

    settings = load(LabelSettings, "label", ["--batch-size", "9"])

    assert (settings.batch_size, settings.group_id) == (9, "env")


def test_the_transactional_id_is_stable_over_restarts_and_differs_between_replicas() -> None:
    members = [load(LabelSettings, "label", ["--replica", name]).member for name in ("a", "a", "b")]

    assert members == ["placestream-a", "placestream-a", "placestream-b"]
