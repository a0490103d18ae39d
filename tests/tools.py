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
    "kubectl": "kubectl",
    "node": "npm",
    "openssl": "openssl",
    "npm": "npm",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "redis-cli": "redis-server",
    "redis-server": "redis-server",
}
"""Program -> the Debian package that brings it (with what that depends on); Debian's own kubectl is too old."""


def require(program: str) -> Path:
    """The program; without it the test that asks (or every test of the fixture that asks) is left out, or fails.

    Raises:
        ValueError: PLACESTREAM_TEST_REQUIRE names something that is no package of `PACKAGES`.
    """
    package = PACKAGES[program]
    if found := shutil.which(program):
        return Path(found)
    missing = f"{program} is not on the PATH ({package} brings it)"
    if package in required():
        pytest.fail(f"{missing}, and PLACESTREAM_TEST_REQUIRE names it", pytrace=False)
    pytest.skip(f"left out: {missing}")


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
