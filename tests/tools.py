"""Programs that pip cannot bring. What needs one that is missing is left out by name, or fails where it must be there.

`PLACESTREAM_TEST_REQUIRE=prometheus,npm` (what brings them, or `all`) makes a missing one a failure.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

PACKAGES = {
    "chromium": "chromium",
    "git": "git",
    "kubectl": "kubectl",
    "node": "npm",
    "openssl": "openssl",
    "npm": "npm",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "redis-cli": "redis-server",
    "redis-server": "redis-server",
}
"""Program -> the Debian package that brings it (with what that depends on). Its kubectl is too old: see .ci/run."""


def require(program: str) -> Path:
    """The program; without it the test that asks (or every test of the fixture that asks) is left out, or fails.

    Raises:
        ValueError: PLACESTREAM_TEST_REQUIRE names something that is no package of `PACKAGES`.
    """
    package = PACKAGES[program]
    if found := shutil.which(program):
        return Path(found)
    raise left_out(f"{program} is not on the PATH ({package} brings it)", package)


def left_out(missing: str, package: str) -> BaseException:
    """To be raised where something of a package is missing: leaves the test out, or fails it where it must be there.

    pytest's summary then names each test, not the line in this file.

    Raises:
        ValueError: see `require`.
    """
    if package in required():
        return pytest.fail.Exception(f"{missing}, and PLACESTREAM_TEST_REQUIRE names {package}", pytrace=False)
    return pytest.skip.Exception(f"left out: {missing}", _use_item_location=True)


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
