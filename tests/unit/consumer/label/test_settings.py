import pytest

from consumer.label.settings import LabelSettings
from producer.base.errors import UsageError
from producer.base.settings import load


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        (("--batch-size", "0"), "BATCH_SIZE"),
        (("--batch-deadline", "-1"), "BATCH_DEADLINE"),
        (("--breaker-consecutive", "32"), "BREAKER_CONSECUTIVE"),
        (("--metrics-port", "70000"), "METRICS_PORT"),
        (("--no-such-flag",), "--no-such-flag"),
        (("--batch-size",), "--batch-size"),
    ],
)
def test_a_nonsense_setting_is_one_line_that_names_it(flags: tuple[str, ...], names: str) -> None:
    with pytest.raises(UsageError) as wrong:
        load(LabelSettings, "label", flags)

    assert names in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_the_transactional_id_is_stable_over_restarts_and_differs_between_replicas() -> None:
    members = [load(LabelSettings, "label", ["--replica", name]).member for name in ("a", "a", "b")]

    assert members == ["placestream-a", "placestream-a", "placestream-b"]
