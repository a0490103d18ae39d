import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import clean_environment
from tests.tools import left_out, require, required
from tests.unit.deploy.compose import ROOT

REQUIRE = "PLACESTREAM_TEST_REQUIRE"


@pytest.fixture
def empty_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")


@pytest.mark.usefixtures("empty_path")
def test_without_a_tool_its_tests_are_left_out_and_the_command_that_brings_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(REQUIRE, "npm, chromium")
    with pytest.raises(pytest.skip.Exception, match=r"^no promtool on the PATH: apt-get install prometheus$"):
        require("promtool")


@pytest.mark.usefixtures("empty_path")
@pytest.mark.parametrize("named", ["npm,prometheus", "all"])
def test_a_missing_tool_that_must_be_there_is_a_failure(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRE, named)
    with pytest.raises(pytest.fail.Exception, match=f"promtool .* {REQUIRE} names prometheus"):
        require("promtool")


def test_the_summary_has_one_line_for_each_missing_program(tmp_path: Path) -> None:
    file = tmp_path / "test_group.py"
    file.write_text(
        "import pytest\n"
        "from tests.tools import left_out\n"
        "@pytest.fixture(scope='module', params=['openssl', 'openssl', 'npm'])\n"
        "def server(request): raise left_out(f'no {request.param}', request.param)\n"
        "def test_a(server): pass\n"
        "def test_b(server): pass\n"
    )
    (tmp_path / "conftest.py").write_text("from tests.tools import pytest_terminal_summary\n")

    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", str(file)]
    environment = clean_environment()  # nothing is required there
    said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60).stdout

    assert re.findall("^left out .*", said, re.MULTILINE) == ["left out 2: no npm", "left out 4: no openssl"]


def test_something_of_a_package_may_be_missing_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REQUIRE, raising=False)
    assert isinstance(left_out("the commit is not here", "git"), pytest.skip.Exception)
    monkeypatch.setenv(REQUIRE, "git")
    assert isinstance(left_out("the commit is not here", "git"), pytest.fail.Exception)


def test_a_mistyped_package_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRE, "promethius")
    with pytest.raises(ValueError, match="names promethius; it may name chromium, git, kubectl, nginx-light, npm"):
        required()
