import pytest

from tests.tools import require, required

REQUIRE = "PLACESTREAM_TEST_REQUIRE"


@pytest.fixture
def empty_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")


@pytest.mark.usefixtures("empty_path")
def test_without_a_tool_its_tests_are_left_out_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRE, "npm, chromium")
    with pytest.raises(pytest.skip.Exception, match=r"promtool is not on the PATH \(prometheus brings it\)"):
        require("promtool")


@pytest.mark.usefixtures("empty_path")
@pytest.mark.parametrize("named", ["npm,prometheus", "all"])
def test_a_missing_tool_that_must_be_there_is_a_failure(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRE, named)
    with pytest.raises(pytest.fail.Exception, match=f"promtool .* {REQUIRE} names it"):
        require("promtool")


def test_a_mistyped_package_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRE, "promethius")
    with pytest.raises(ValueError, match="names promethius; it may name chromium, kubectl, npm"):
        required()
