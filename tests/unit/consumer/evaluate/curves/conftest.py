import pytest

from tests.unit.consumer.evaluate.simulated import Opened, opened, simulate


@pytest.fixture(scope="package")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """All 1,000 posts of a simulated dataset, calibrated where the picture decides."""
    return opened(simulate(tmp_path_factory.mktemp("c"), "c"))


@pytest.fixture(scope="package")
def partly(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """The same, but a fifth of the pictures shows no place."""
    return opened(simulate(tmp_path_factory.mktemp("c"), "c", no_place=0.2))
