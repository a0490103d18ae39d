"""Programs that pip cannot bring. What needs one that is missing is left out, or fails where it must be there.

`PLACESTREAM_TEST_REQUIRE=prometheus,npm` (what brings them, or `all`) makes a missing one a failure.
"""

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

PACKAGES = {
    "chromium": "chromium",
    "git": "git",
    "kubectl": "kubectl",
    "nginx": "nginx-light",
    "node": "npm",
    "openssl": "openssl",
    "npm": "npm",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "redis-cli": "redis-server",
    "redis-server": "redis-server",
}
"""Program -> the Debian package that brings it, with what that depends on."""

COMMANDS = {"kubectl": "see .ci/run, Debian's is too old"}
"""What brings a package that ``apt-get install`` does not bring as it must be."""


def require(program: str) -> Path:
    """The program; without it the test that asks (or every test of the fixture that asks) is left out, or fails.

    Raises:
        ValueError: PLACESTREAM_TEST_REQUIRE names something that is no package of `PACKAGES`.
    """
    package = PACKAGES[program]
    if found := shutil.which(program):
        return Path(found)
    raise left_out(f"no {program} on the PATH: {COMMANDS.get(package, f'apt-get install {package}')}", package)


def left_out(missing: str, package: str) -> BaseException:
    """To be raised where something of a package is missing: leaves the test out, or fails it where it must be there.

    Args:
        missing: what it is, and what brings it.
        package: of `PACKAGES`.

    Raises:
        ValueError: see `require`.
    """
    if package in required():
        return pytest.fail.Exception(f"{missing}, and PLACESTREAM_TEST_REQUIRE names {package}", pytrace=False)
    return pytest.skip.Exception(missing)


def required() -> Sequence[str]:
    """The packages that must be there.

    Raises:
        ValueError: see `require`.
    """
    known = sorted(set(PACKAGES.values()))
    named = [name.strip() for name in os.environ.get("PLACESTREAM_TEST_REQUIRE", "").split(",") if name.strip()]
    if unknown := sorted(set(named) - {*known, "all"}):
        raise ValueError(f"PLACESTREAM_TEST_REQUIRE names {', '.join(unknown)}; it may name {', '.join(known)} or all")
    return known if "all" in named else named


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line for each reason for which tests were left out; pytest's own would be one for each of them."""
    left_out = terminalreporter.stats.get("skipped", [])
    for reason, tests in sorted(Counter(report.longrepr[2].removeprefix("Skipped: ") for report in left_out).items()):
        terminalreporter.write_line(f"left out {tests}: {reason}")
