import pytest

from consumer import start
from consumer.count.settings import CountSettings
from consumer.label.settings import LabelSettings
from producer.base.logs import LogSettings
from tests.settings_page import COMMANDS

pytestmark = pytest.mark.usefixtures("as_before")


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("BATCHSIZE", "BATCH_SIZE"),
        ("BOOTSTRAP_SERVER", "BOOTSTRAP_SERVERS"),
        ("TRESHOLD", "THRESHOLD"),
        ("METRIC_PORT", "METRICS_PORT"),
    ],
)
def test_a_mistyped_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str, meant: str
) -> None:
    monkeypatch.setenv(f"PLACESTREAM_{variable}", "1")
    start.begin(LabelSettings.model_validate({}))
    assert f"PLACESTREAM_{variable} is no setting; is PLACESTREAM_{meant} meant?" in capsys.readouterr().err


@pytest.mark.parametrize("settings", [LabelSettings, CountSettings])
def test_variables_of_other_commands_are_no_mistake(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], settings: type[LogSettings]
) -> None:
    given = settings.model_validate({})
    for name in {name for each in COMMANDS.values() for name in each.model_fields}:
        monkeypatch.setenv(f"PLACESTREAM_{name.upper()}", "1")
    monkeypatch.setenv("PLACESTREAM_TEST_REQUIRE", "1")
    start.begin(given)
    assert "is no setting" not in capsys.readouterr().err
